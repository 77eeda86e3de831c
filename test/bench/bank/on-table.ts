import { DynamoEpisodeStore } from '../../../shared/episodes/dynamodb-episode-store.ts';
import { StoredReasoningBank } from '../../../shared/reasoning-bank/stored-reasoning-bank.ts';
import { history, probe } from './history.ts';
import { type MeasuredTable, startTable } from './table.ts';
import { timing } from './timing.ts';

/** What one operation costs on average. */
export interface Cost {
  readonly episodes: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly readUnits: number;
  readonly writeUnits: number;
}

export interface RetrieveCost extends Cost {
  /** Number of recent patterns in the search, and how many their own context found. */
  readonly asked: number;
  readonly found: number;
}

export interface BankCosts {
  readonly store: Cost;
  readonly retrieve: RetrieveCost;
  readonly learnStrategy: Cost;
}

const PROBES = 40;
const ROUNDS = 5;

/**
 * Measures banks of the given sizes, each in its own DynamoDB. Fills each with episodes, then
 * stores and queries 40 patterns. Sizes take turns, so that other load on the machine affects all
 * of them.
 */
export async function measureBanks(sizes: readonly number[]): Promise<BankCosts[]> {
  const banks: MeasuredBank[] = [];
  try {
    for (const size of sizes) banks.push(await MeasuredBank.start(size));
    for (let i = 0; i < PROBES; i++) for (const bank of banks) await bank.store(i);
    for (const bank of banks) await bank.warmUp();
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < PROBES; i++) {
        for (const bank of banks) {
          await bank.retrieve(i);
          await bank.learnStrategy(i);
        }
      }
    }
    return banks.map((bank) => bank.costs());
  } finally {
    for (const bank of banks) await bank.stop();
  }
}

class MeasuredBank {
  readonly #episodes: number;
  readonly #table: MeasuredTable;
  readonly #bank: StoredReasoningBank;
  readonly #runs = { store: [] as Run[], retrieve: [] as Run[], learnStrategy: [] as Run[] };
  readonly #found = new Set<number>();

  private constructor(episodes: number, table: MeasuredTable) {
    this.#episodes = episodes;
    this.#table = table;
    const store = new DynamoEpisodeStore(table.client, { table: table.name, ttlDays: 90 });
    this.#bank = new StoredReasoningBank(store);
  }

  static async start(episodes: number): Promise<MeasuredBank> {
    const table = await startTable();
    await table.fill(history(0, episodes, Date.now()), () => Date.now());
    return new MeasuredBank(episodes, table);
  }

  store(index: number): Promise<void> {
    return this.#measure('store', () => this.#bank.storePattern(probe(index)));
  }

  async warmUp(): Promise<void> {
    for (let i = 0; i < 5; i++) await this.#bank.retrievePatterns(probe(i).task);
  }

  retrieve(index: number): Promise<void> {
    const { task } = probe(index);
    return this.#measure('retrieve', async () => {
      const patterns = await this.#bank.retrievePatterns(task, { k: 5 });
      if (patterns.some((pattern) => pattern.task === task)) this.#found.add(index);
    });
  }

  learnStrategy(index: number): Promise<void> {
    return this.#measure('learnStrategy', () => this.#bank.learnStrategy(probe(index).task));
  }

  costs(): BankCosts {
    return {
      store: this.#cost('store'),
      retrieve: { ...this.#cost('retrieve'), asked: PROBES, found: this.#found.size },
      learnStrategy: this.#cost('learnStrategy'),
    };
  }

  stop(): Promise<void> {
    return this.#table.stop();
  }

  async #measure(operation: keyof BankCosts, run: () => Promise<unknown>): Promise<void> {
    const { units } = this.#table;
    const before = { ...units };
    const start = performance.now();
    await run();
    const ms = performance.now() - start;
    this.#runs[operation].push({ ms, read: units.read - before.read, write: units.write - before.write });
  }

  #cost(operation: keyof BankCosts): Cost {
    const runs = this.#runs[operation];
    const mean = (value: (run: Run) => number) =>
      runs.reduce((sum, run) => sum + value(run), 0) / runs.length;
    return {
      episodes: this.#episodes,
      ...timing(runs.map(({ ms }) => ms)),
      readUnits: mean(({ read }) => read),
      // The index holds every episode as a whole, at the same price; the local DynamoDB counts only
      // the table.
      writeUnits: 2 * mean(({ write }) => write),
    };
  }
}

interface Run {
  readonly ms: number;
  readonly read: number;
  readonly write: number;
}

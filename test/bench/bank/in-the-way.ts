import { createLoRAPersonalizationEngine } from '../../../shared/engine/engine.ts';
import { queryOf } from '../../../shared/episodes/adaptation-context.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import type { ReasoningBankInstance } from '../../../shared/reasoning-bank/bank.ts';
import { BankConnection } from '../../../shared/reasoning-bank/bank-connection.ts';
import { timed } from './timing.ts';

const CONTEXT = { learner: 'bayesian', rank: 4, embeddingDim: 64, samplesSeen: 40, batchSize: 5, loss: 0.04 };
const QUERY = { k: 5, minReward: 0.7, onlySuccesses: true };
const UPDATES = 300;

/** Milliseconds of one update, and the additional time with a failing bank. */
export interface InTheWay {
  /** Without a bank: the time of the whole update, and of the part where a bank would be called. */
  readonly withoutBank: { readonly updateMs: number; readonly bankMs: number; readonly ratio: number };
  readonly hung: { readonly firstMs: number; readonly nextMs: number };
  readonly failing: { readonly firstMs: number; readonly nextMs: number };
  readonly cacheHitMs: number;
}

export async function measureInTheWay(): Promise<InTheWay> {
  const hung = await inTrouble(() => new Promise<never>(() => {}));
  const failing = await inTrouble(() => Promise.reject(new Error('down')));
  const updateMs = (await updates()).nextMs;
  const connection = new BankConnection();
  const calls = 10_000;
  const start = performance.now();
  for (let i = 0; i < calls; i++) await connection.advise(queryOf(CONTEXT), QUERY);
  const bankMs = (performance.now() - start) / calls;
  return {
    withoutBank: { updateMs, bankMs, ratio: updateMs / (updateMs - bankMs) },
    hung,
    failing,
    cacheHitMs: await cacheHit(),
  };
}

function inTrouble(call: () => Promise<never>) {
  return updates({ storePattern: call, retrievePatterns: call, learnStrategy: call, autoConsolidate: call });
}

/** The first update, and the median of the following ones. */
async function updates(reasoningBank?: ReasoningBankInstance): Promise<{ firstMs: number; nextMs: number }> {
  const random = createRandom('updates');
  const vector = () => Float32Array.from({ length: 64 }, () => random.normal());
  const engine = createLoRAPersonalizationEngine({ catalogue: Array.from({ length: 50 }, vector) });
  let adapter = engine.createAdapter('user');
  const update = async () => {
    const feedback = Array.from({ length: 5 }, () => ({ contentEmbedding: vector(), reward: random.next() }));
    adapter = await engine.updateAdapter(adapter, feedback);
  };
  for (let i = 0; i < UPDATES; i++) await update();
  if (reasoningBank !== undefined) engine.connectReasoningBank(reasoningBank);
  const { p50Ms: firstMs } = await timed(1, update);
  const { p50Ms: nextMs } = await timed(UPDATES, update);
  return { firstMs, nextMs };
}

async function cacheHit(): Promise<number> {
  const pattern = { task: 'lora_adaptation_user_a_rank_4_samples_40', reward: 0.8, success: true };
  const connection = new BankConnection();
  connection.connect({
    storePattern: async () => 'id',
    retrievePatterns: async () => Array(5).fill(pattern),
    learnStrategy: async () => ({ recommendation: 'Set learning rate to 0.05.' }),
    autoConsolidate: async () => ({ skillsCreated: 0 }),
  });
  await connection.advise(queryOf(CONTEXT), QUERY, { learningRate: 0.1 });
  const hit = () => connection.advise(queryOf(CONTEXT), QUERY, { learningRate: 0.1 });
  return (await timed(2000, hit)).p50Ms;
}

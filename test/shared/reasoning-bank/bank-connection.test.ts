import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NewPattern, ReasoningBankInstance } from '../../../shared/reasoning-bank/bank.ts';
import { BankConnection, type Degradation } from '../../../shared/reasoning-bank/bank-connection.ts';

const PATTERN: NewPattern = { sessionId: 's', task: 'adapt rank=4', success: true, reward: 0.5 };
const hang = () => new Promise<never>(() => {});

function fakeBank(answers: Partial<Record<keyof ReasoningBankInstance, unknown>> = {}) {
  const { storePattern = 'id', retrievePatterns = [], learnStrategy = {}, autoConsolidate = {} } = answers;
  return {
    storePattern: vi.fn(async (_pattern: NewPattern) => storePattern),
    retrievePatterns: vi.fn(async () => retrievePatterns),
    learnStrategy: vi.fn(async () => learnStrategy),
    autoConsolidate: vi.fn(async () => autoConsolidate),
  };
}

function hangingBank() {
  const bank = fakeBank();
  for (const method of Object.values(bank)) (method as ReturnType<typeof vi.fn>).mockImplementation(hang);
  return bank;
}

describe('the connection to a ReasoningBank', () => {
  let degradations: Degradation[];
  let connection: BankConnection;

  beforeEach(() => {
    vi.useFakeTimers();
    degradations = [];
    connection = new BankConnection({ onDegraded: (degradation) => degradations.push(degradation) });
  });
  afterEach(() => vi.useRealTimers());

  it('works fully without a bank', async () => {
    expect(await connection.advise('q', {})).toEqual({ patterns: [], recommendation: '', hints: {} });
    expect(await connection.store(PATTERN)).toBe('no-bank');
    expect(await connection.recall('q', {})).toBeNull();
    expect(await connection.consolidate(5, 0.85, 30)).toBeNull();
    expect(connection.stats()).toMatchObject({ enabled: false, pending: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('refuses an object that is not a bank, and stays unchanged', () => {
    const { learnStrategy, ...incomplete } = fakeBank();
    expect(() => connection.connect(incomplete as unknown as ReasoningBankInstance)).toThrow(
      'reasoningBank.learnStrategy: found nothing, expected a function',
    );
    expect(() => connection.connect(null as unknown as ReasoningBankInstance)).toThrow(
      'reasoningBank.storePattern',
    );
    expect(connection.bank).toBeUndefined();
  });

  it('reads hints from words, and prefers typed ones', async () => {
    connection.connect(fakeBank({ learnStrategy: { recommendation: 'reduce learning rate' } }));
    expect((await connection.advise('q', {}, { learningRate: 0.1 })).hints).toEqual({ learningRate: 0.05 });
    const hints = [
      { hyperparameter: 'learningRate', value: 0.2 },
      null,
      { hyperparameter: 'x', value: Number.NaN },
    ];
    connection.connect(fakeBank({ learnStrategy: { recommendation: 'learning rate to 0.3', hints } }));
    expect((await connection.advise('q', {})).hints).toEqual({ learningRate: 0.2 });
  });

  it.each([undefined, null, 'text', 7, [], { recommendation: 7, hints: 'many' }])(
    'takes no advice from a malformed strategy: %j',
    async (learnStrategy) => {
      connection.connect(fakeBank({ learnStrategy, retrievePatterns: learnStrategy }));
      expect(await connection.advise('q', {})).toEqual({ patterns: [], recommendation: '', hints: {} });
      expect(degradations).toEqual([]);
    },
  );

  it('leaves out malformed patterns one by one', async () => {
    const throwing = {
      get task(): string {
        throw new Error('broken');
      },
    };
    const patterns = [
      null,
      'text',
      { task: 7, reward: 0.5 },
      { task: 'a', reward: 2 },
      throwing,
      { ...PATTERN },
    ];
    connection.connect(fakeBank({ retrievePatterns: patterns }));
    expect((await connection.advise('q', {})).patterns.map(({ task }) => task)).toEqual(['adapt rank=4']);
    expect((await connection.recall('q', {}))?.map(({ task }) => task)).toEqual(['adapt rank=4']);
  });

  it('asks an equal query once in five minutes, until it is disconnected or replaced', async () => {
    const first = fakeBank();
    connection.connect(first);
    await Promise.all(Array.from({ length: 20 }, () => connection.advise('q', { k: 5 })));
    expect(first.retrievePatterns).toHaveBeenCalledTimes(1);
    expect(first.learnStrategy).toHaveBeenCalledTimes(1);
    expect(connection.stats().cache).toMatchObject({ size: 1, hitRate: 0.95 });
    const second = fakeBank();
    connection.connect(second);
    await connection.advise('q', { k: 5 });
    expect(second.retrievePatterns).toHaveBeenCalledTimes(1);
    connection.disconnect();
    expect(connection.stats().cache.size).toBe(0);
  });

  it('asks every time when the cache is off', async () => {
    const bank = fakeBank();
    connection = new BankConnection({ cache: false });
    connection.connect(bank);
    await connection.advise('q', {});
    await connection.advise('q', {});
    expect(bank.retrievePatterns).toHaveBeenCalledTimes(2);
  });

  it('waits for a hanging bank at most one deadline', async () => {
    const bank = hangingBank();
    connection.connect(bank);
    const start = Date.now();
    const update = connection.advise('q', {}).then(() => connection.store(PATTERN));
    await vi.advanceTimersByTimeAsync(250);
    expect(await update).toBe('pending');
    expect(Date.now() - start).toBe(250);
    expect(await connection.advise('q2', {})).toMatchObject({ hints: {} });
    expect(await connection.store(PATTERN)).toBe('pending');
    expect(Date.now() - start).toBe(250);
    expect(bank.storePattern).not.toHaveBeenCalled();
    expect(connection.stats()).toMatchObject({ breaker: 'open', pending: 2 });
    expect(degradations.map(({ operation }) => operation)).toContain('storePattern');
  });

  it('uses half an answer, but does not keep it', async () => {
    const bank = fakeBank({ learnStrategy: { recommendation: 'learning rate to 0.3' } });
    bank.retrievePatterns.mockRejectedValueOnce(new Error('down'));
    connection.connect(bank);
    expect((await connection.advise('q', {})).hints).toEqual({ learningRate: 0.3 });
    expect(connection.stats().cache.size).toBe(0);
    expect(degradations).toHaveLength(1);
    await connection.advise('q', {});
    expect(bank.retrievePatterns).toHaveBeenCalledTimes(2);
    expect(connection.stats().cache.size).toBe(1);
  });

  it('stores waiting patterns in order when a bank accepts patterns again', async () => {
    const bank = fakeBank();
    bank.storePattern.mockRejectedValueOnce(new Error('down'));
    connection.connect(bank);
    expect(await connection.store({ ...PATTERN, task: 'first' })).toBe('pending');
    expect(await connection.store({ ...PATTERN, task: 'second' })).toBe('stored');
    await vi.advanceTimersByTimeAsync(0);
    const stored = bank.storePattern.mock.calls.map(([{ task }]) => task);
    expect(stored).toEqual(['first', 'second', 'first']);
    expect(connection.stats().pending).toBe(0);
  });

  it('drops the oldest patterns when too many wait, and counts them', async () => {
    connection = new BankConnection({ maxPending: 3 });
    const bank = fakeBank();
    bank.storePattern.mockRejectedValue(new Error('down'));
    connection.connect(bank);
    for (let i = 0; i < 5; i++) await connection.store({ ...PATTERN, task: `task ${i}` });
    expect(connection.stats()).toMatchObject({ pending: 3, dropped: 2 });
    const next = fakeBank();
    connection.connect(next);
    expect(await connection.flush()).toBe(3);
    expect(next.storePattern.mock.calls.map(([{ task }]) => task)).toEqual(['task 2', 'task 3', 'task 4']);
  });

  it('starts no call to a bank after it is replaced or disconnected', async () => {
    const first = fakeBank();
    const { promise, resolve } = Promise.withResolvers<never[]>();
    first.retrievePatterns.mockReturnValueOnce(promise);
    connection.connect(first);
    const update = connection.advise('q', {}).then(() => connection.store(PATTERN));
    const second = fakeBank();
    connection.connect(second);
    resolve([]);
    expect(await update).toBe('stored');
    expect(first.storePattern).not.toHaveBeenCalled();
    expect(second.storePattern).toHaveBeenCalledTimes(1);
    await connection.advise('q', {});
    expect(second.retrievePatterns).toHaveBeenCalledTimes(1);
    connection.disconnect();
    expect(await connection.store(PATTERN)).toBe('no-bank');
    expect(second.storePattern).toHaveBeenCalledTimes(1);
  });

  it('survives an error of the degradation listener', async () => {
    connection = new BankConnection({
      onDegraded: () => {
        throw new Error('listener');
      },
    });
    const bank = fakeBank();
    bank.storePattern.mockRejectedValue(new Error('down'));
    connection.connect(bank);
    expect(await connection.store(PATTERN)).toBe('pending');
  });

  it('passes consolidation on with the arguments in the order of banks', async () => {
    const bank = fakeBank({ autoConsolidate: { skillsCreated: 3 } });
    connection.connect(bank);
    expect(await connection.consolidate(5, 0.85, 30)).toEqual({ skillsCreated: 3 });
    expect(bank.autoConsolidate).toHaveBeenCalledWith(5, 0.85, 30);
  });
});

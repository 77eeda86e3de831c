import {
  createLoRAPersonalizationEngine,
  InMemoryEpisodeStore,
  StoredReasoningBank,
} from '../shared/index.ts';
import { CATALOGUE, person } from './world.ts';

/** Adapters in like states ask the bank the same question, so most answers come from the cache. */
export async function cache(
  print: (line: string) => void,
): Promise<{ queries: number; updates: number; hitRate: number; sizes: number[] }> {
  let now = Date.UTC(2026, 0, 1);
  let queries = 0;
  const bank = new StoredReasoningBank(new InMemoryEpisodeStore({ now: () => now }), { now: () => now });
  const counting = {
    storePattern: bank.storePattern.bind(bank),
    learnStrategy: bank.learnStrategy.bind(bank),
    autoConsolidate: bank.autoConsolidate.bind(bank),
    retrievePatterns: (...query: Parameters<typeof bank.retrievePatterns>) => {
      queries += 1;
      return bank.retrievePatterns(...query);
    },
  };
  const engine = createLoRAPersonalizationEngine({
    catalogue: CATALOGUE,
    reasoningBank: counting,
    bankConnection: { cache: { now: () => now } },
  });
  const evening = async (userId: string) => {
    now += 1000;
    await engine.updateAdapter(engine.createAdapter(userId), person(userId).watch(5));
    return engine.getReasoningBankStats().cacheSize;
  };
  let updates = 0;
  for (; updates < 40; updates++) await evening(`user-${updates}`);
  const asked = queries;
  const { cacheHitRate: hitRate, cacheSize } = engine.getReasoningBankStats();
  print(
    `${updates} new users asked the bank ${asked === 1 ? 'once' : `${asked} times`}; ${Math.round(100 * hitRate)} % came from the cache`,
  );

  engine.clearReasoningBankCache();
  const cleared = engine.getReasoningBankStats().cacheSize;
  const refilled = await evening('late');
  now += 5 * 60_000;
  const expired = engine.getReasoningBankStats().cacheSize;
  print(
    `Answers kept: ${cacheSize}; cleared: ${cleared}; asked again: ${refilled}; five minutes later: ${expired}`,
  );
  return { queries: asked, updates, hitRate, sizes: [cacheSize, cleared, refilled, expired] };
}

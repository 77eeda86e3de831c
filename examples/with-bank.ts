import {
  type BankStats,
  createLoRAPersonalizationEngine,
  InMemoryEpisodeStore,
  StoredReasoningBank,
} from '../shared/index.ts';
import { CATALOGUE, person } from './world.ts';

/** The engine stores every update in a ReasoningBank, and the bank gives advice. */
export async function withBank(
  print: (line: string) => void,
): Promise<{ stats: BankStats; recommendation: string }> {
  const bank = new StoredReasoningBank(new InMemoryEpisodeStore());
  const engine = createLoRAPersonalizationEngine({ catalogue: CATALOGUE, reasoningBank: bank });
  for (const userId of ['ada', 'bob', 'eve']) {
    const watcher = person(userId);
    let adapter = engine.createAdapter(userId);
    for (let evening = 0; evening < 6; evening++)
      adapter = await engine.updateAdapter(adapter, watcher.watch(5));
  }
  const stats = await bank.stats();
  const { episodes, recent } = stats;
  print(
    `The bank remembers ${episodes} episodes of ${recent.users} users; ${recent.successes} beat no adapter`,
  );

  const [best] = await bank.retrievePatterns({ rank: 4, samplesSeen: 25 }, { k: 1, onlySuccesses: true });
  print(`Most like an adapter that has seen 25 films: ${best?.task}`);
  print(`  ${best?.critique}`);

  const { recommendation } = await bank.learnStrategy({ rank: 4, samplesSeen: 25 });
  print(`Its recommendation: ${recommendation}`);
  print(`Of ${await bank.forgetUser('bob')} episodes of bob, ${await bank.forgetUser('bob')} are left`);
  return { stats, recommendation };
}

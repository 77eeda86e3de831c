import {
  createLoRAPersonalizationEngine,
  InMemoryEpisodeStore,
  StoredReasoningBank,
} from '../shared/index.ts';
import { CATALOGUE, person } from './world.ts';

/** Banks are replaced during updates; learning continues, and no episode is lost. */
export async function hotSwap(
  print: (line: string) => void,
): Promise<{ first: number; second: number; versions: number[]; enabled: boolean }> {
  const first = new StoredReasoningBank(new InMemoryEpisodeStore());
  const second = new StoredReasoningBank(new InMemoryEpisodeStore());
  const engine = createLoRAPersonalizationEngine({ catalogue: CATALOGUE });
  const people = Array.from({ length: 10 }, (_, i) => person(`user-${i}`));
  let adapters = people.map(({ userId }) => engine.createAdapter(userId));
  const startEvening = () =>
    Promise.all(adapters.map((adapter, i) => engine.updateAdapter(adapter, people[i]!.watch(5))));

  adapters = await startEvening();
  print(`Without a bank: version ${adapters[0]?.version}, connected: ${engine.hasReasoningBank()}`);

  engine.connectReasoningBank(first);
  adapters = await startEvening();
  print(`First bank: ${(await first.stats()).episodes} episodes`);

  const underWay = startEvening();
  engine.connectReasoningBank(second);
  adapters = await underWay;
  adapters = await startEvening();
  const counts = { first: (await first.stats()).episodes, second: (await second.stats()).episodes };
  print(`Swapped under way: ${counts.first} episodes in the first, ${counts.second} in the second`);

  engine.disconnectReasoningBank();
  adapters = await startEvening();
  const { enabled, cacheSize } = engine.getReasoningBankStats();
  print(`Disconnected: version ${adapters[0]?.version}, connected: ${enabled}, answers kept: ${cacheSize}`);
  return { ...counts, versions: adapters.map(({ version }) => version), enabled };
}

import {
  type ConsolidationSummary,
  createLoRAPersonalizationEngine,
  InMemoryEpisodeStore,
  type Skill,
  StoredReasoningBank,
} from '../shared/index.ts';
import { CATALOGUE, person } from './world.ts';

/**
 * Many episodes become few skills: those with enough uses and successes, with the reason for
 * rejecting the others.
 */
export async function consolidation(
  print: (line: string) => void,
): Promise<{ created: number; again: number; summary: ConsolidationSummary; skills: readonly Skill[] }> {
  const bank = new StoredReasoningBank(new InMemoryEpisodeStore());
  for (const priorVariance of [0.01, 10, 1000]) {
    const engine = createLoRAPersonalizationEngine({
      catalogue: CATALOGUE,
      priorVariance,
      reasoningBank: bank,
    });
    for (let i = 0; i < 8; i++) {
      const watcher = person(`user-${i} at ${priorVariance}`);
      let adapter = engine.createAdapter(watcher.userId);
      for (let evening = 0; evening < 6; evening++)
        adapter = await engine.updateAdapter(adapter, watcher.watch(5));
    }
  }
  const engine = createLoRAPersonalizationEngine({ catalogue: CATALOGUE, reasoningBank: bank });
  const created = (await engine.consolidateAdaptationPatterns(0.6, 20, 30))?.skillsCreated ?? 0;
  const { skills } = await bank.learnStrategy({ rank: 4 });
  print(`Skills created: ${created}`);
  for (const { hyperparameters, uses, users, successRate } of skills) {
    const share = `${Math.round(100 * successRate)} % of ${uses} episodes of ${users} users`;
    print(`  ${JSON.stringify(hyperparameters)} beat no adapter in ${share}`);
  }
  const summary = await bank.autoConsolidate(20, 0.6, 30);
  for (const { what, why } of summary.rejected ?? []) print(`  not ${what}: ${why}`);
  print(`Created when run again: ${summary.skillsCreated}`);
  return { created, again: summary.skillsCreated, summary, skills };
}

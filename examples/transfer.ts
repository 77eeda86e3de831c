import {
  createLoRAPersonalizationEngine,
  InMemoryEpisodeStore,
  type LoRAConfig,
  type LoRAPersonalizationEngine,
  StoredReasoningBank,
} from '../shared/index.ts';
import { CATALOGUE, person } from './world.ts';

/** A learning rate that is far too small, and one that a few users try. */
const CONFIGURED = 0.002;
const TRIED = 0.2;
const EVENINGS = 8;

/**
 * What some users tried, the next user is spared: the bank finds which learning rate did better,
 * and the engine takes it.
 */
export async function transfer(
  print: (line: string) => void,
): Promise<{ hinted: number; alone: number; withBank: number; similar: number }> {
  const bank = new StoredReasoningBank(new InMemoryEpisodeStore(), {
    hyperparameters: { learningRate: CONFIGURED },
  });
  const settings: LoRAConfig = { learner: 'sgd', catalogue: CATALOGUE, learningRate: CONFIGURED };
  for (let i = 0; i < 30; i++) {
    const learningRate = i % 2 === 0 ? CONFIGURED : TRIED;
    // Without advice, so that each user keeps the rate that is tried.
    const explorer = createLoRAPersonalizationEngine({ ...settings, learningRate });
    explorer.connectReasoningBank({ ...methodsOf(bank), learnStrategy: async () => ({}) });
    await train(explorer, `user-${i}`);
  }
  const { recommendation } = await bank.learnStrategy({ learner: 'sgd', rank: 4, embeddingDim: 64 });
  print(recommendation);

  const advised = createLoRAPersonalizationEngine({ ...settings, reasoningBank: bank });
  const withBank = await train(advised, 'newcomer');
  const alone = await train(createLoRAPersonalizationEngine(settings), 'newcomer');
  print(
    `Loss of a newcomer after ${EVENINGS} evenings: ${alone.loss.toFixed(4)} alone, ${withBank.loss.toFixed(4)} with the bank`,
  );

  const similar = (await advised.getSimilarAdaptations('someone else', 3)) ?? [];
  for (const { userId, rank, reward, learningRate } of similar) {
    print(`  similar: ${userId}, rank ${rank}, rate ${learningRate}, reward ${reward.toFixed(3)}`);
  }
  return { hinted: withBank.rate, alone: alone.loss, withBank: withBank.loss, similar: similar.length };
}

async function train(
  engine: LoRAPersonalizationEngine,
  userId: string,
): Promise<{ loss: number; rate: number }> {
  const watcher = person(userId);
  let adapter = engine.createAdapter(userId);
  for (let evening = 0; evening < EVENINGS; evening++) {
    adapter = await engine.updateAdapter(adapter, watcher.watch(5));
  }
  return { loss: adapter.metadata.avgLoss, rate: adapter.metadata.learningRate };
}

/** Any object with the four methods is a bank. */
function methodsOf(bank: StoredReasoningBank) {
  return {
    storePattern: bank.storePattern.bind(bank),
    retrievePatterns: bank.retrievePatterns.bind(bank),
    autoConsolidate: bank.autoConsolidate.bind(bank),
  };
}

import { createAdapterFeedback, createLoRAPersonalizationEngine } from '../shared/index.ts';
import { CATALOGUE, EMBEDDING_DIM, FILMS, person } from './world.ts';

/** One user, no bank, no service: learn from watch signals, rank, and serialize the adapter. */
export async function basic(
  print: (line: string) => void,
): Promise<{ before: number; after: number; bytes: number }> {
  const engine = createLoRAPersonalizationEngine({ embeddingDim: EMBEDDING_DIM, catalogue: CATALOGUE });
  const ada = person('ada');
  const drama = FILMS[0]!;
  const watched = createAdapterFeedback({ completionRate: 1, rating: 5, isRewatch: true }, drama.embedding);
  print(`Watched to the end, five stars, for the second time: reward ${watched.reward}`);

  const blank = engine.createAdapter(ada.userId);
  let adapter = blank;
  for (let evening = 0; evening < 12; evening++) adapter = await engine.updateAdapter(adapter, ada.watch(5));
  const { version, metadata } = adapter;
  print(
    `${ada.userId} likes ${ada.likes}; version ${version} has learned from ${metadata.totalSamples} films`,
  );

  const shareOfLiked = (from: typeof adapter) => {
    const score = ({ embedding: x }: (typeof FILMS)[number]) => {
      const y = engine.computeLoRAForward(x, from);
      return dot(x, y) / dot(x, x);
    };
    const best = [...FILMS].sort((a, b) => score(b) - score(a)).slice(0, 10);
    return best.filter(({ genre }) => genre === ada.likes).length / best.length;
  };
  const before = shareOfLiked(blank);
  const after = shareOfLiked(adapter);
  print(`Liked films among the ten best: ${before * 10} before, ${after * 10} after`);

  const bytes = engine.serializeAdapter(adapter);
  const restored = engine.deserializeAdapter(bytes);
  print(`Kept as ${bytes.length} bytes; read back, it is version ${restored.version} of ${restored.userId}`);
  return { before, after, bytes: bytes.length };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

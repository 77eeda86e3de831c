import { expect, it, vi } from 'vitest';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { guardedEpisodeStore } from '../../../shared/episodes/guarded-episode-store.ts';
import { InMemoryEpisodeStore } from '../../../shared/episodes/in-memory-episode-store.ts';
import { UnavailableError } from '../../../shared/errors.ts';
import { episodeOf } from '../../../shared/reasoning-bank/pattern.ts';

const DEFAULTS = { learner: 'bayesian', rank: 4, embeddingDim: 64 };

function episode(version: number): Episode {
  const told = { sessionId: 's', task: 'rank 4', userId: 'ada', version, success: true, reward: 0.5 };
  return episodeOf(told, { id: 'id', now: 0, defaults: DEFAULTS });
}

it('stores while the bank works, and stops calling one that keeps failing', async () => {
  const store = new InMemoryEpisodeStore();
  const episodes = guardedEpisodeStore(store);
  expect(await episodes.store(episode(1))).toBe('stored');
  expect(await episodes.store(episode(1))).toBe('known');
  const failing = vi.spyOn(store, 'store').mockRejectedValue(new UnavailableError('down'));
  for (let i = 0; i < 5; i++) await expect(episodes.store(episode(2))).rejects.toThrow('down');
  expect(failing).toHaveBeenCalledTimes(5);
  await expect(episodes.store(episode(2))).rejects.toThrow('no calls for a while');
  expect(failing).toHaveBeenCalledTimes(5);
});

import type { CellStrategy, PriorSummary } from '../../shared/episodes/cell-strategy.ts';
import type { Episode } from '../../shared/episodes/episode.ts';
import { InMemoryEpisodeStore } from '../../shared/episodes/in-memory-episode-store.ts';

type Write<T> = (store: InMemoryEpisodeStore) => Promise<T>;

/** Episodes in memory that can be copied. */
export class MemoryEpisodes extends InMemoryEpisodeStore {
  readonly #clock: { readonly time: number };
  readonly #writes: { at: number; write: Write<unknown> }[] = [];

  constructor(clock: { readonly time: number }) {
    super({ now: () => clock.time });
    this.#clock = clock;
  }

  /** Does all writes again, at the times at which they were done. */
  async copyTo(clock: { time: number }): Promise<InMemoryEpisodeStore> {
    const copy = new InMemoryEpisodeStore({ now: () => clock.time });
    for (const { at, write } of this.#writes) {
      clock.time = at;
      await write(copy);
    }
    clock.time = this.#clock.time;
    return copy;
  }

  #record(write: Write<unknown>): void {
    this.#writes.push({ at: this.#clock.time, write });
  }

  override store(episode: Episode): Promise<'stored' | 'known'> {
    this.#record((store) => store.store(episode));
    return super.store(episode);
  }

  override recordStrategy(strategy: CellStrategy): Promise<void> {
    this.#record((store) => store.recordStrategy(strategy));
    return super.recordStrategy(strategy);
  }

  override recordPrior(cell: string, summary: PriorSummary): Promise<void> {
    this.#record((store) => store.recordPrior(cell, summary));
    return super.recordPrior(cell, summary);
  }

  override forgetUser(userKey: string): Promise<number> {
    this.#record((store) => store.forgetUser(userKey));
    return super.forgetUser(userKey);
  }
}

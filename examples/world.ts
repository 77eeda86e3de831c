import type { AdapterFeedback } from '../shared/index.ts';
import { createRandom } from '../shared/lora/random.ts';

/**
 * A made-up application for the examples: films of four genres, and people with one favourite
 * genre. The same on every machine.
 */
export const EMBEDDING_DIM = 64;
const GENRES = ['drama', 'comedy', 'crime', 'fantasy'] as const;
const FILMS_PER_GENRE = 15;

export interface Film {
  readonly title: string;
  readonly genre: string;
  /** Length 64. */
  readonly embedding: Float32Array;
}

export interface Person {
  readonly userId: string;
  readonly likes: string;
  /** What the person thought of the next few films, as feedback. */
  watch(films: number): AdapterFeedback[];
}

export const FILMS: readonly Film[] = makeFilms();

export const CATALOGUE: readonly Float32Array[] = FILMS.map(({ embedding }) => embedding);

/** A person whose taste and evenings depend on the name alone. */
export function person(userId: string): Person {
  const random = createRandom(`person ${userId}`);
  const likes = GENRES[random.integer(GENRES.length)]!;
  return {
    userId,
    likes,
    watch: (films) =>
      Array.from({ length: films }, () => {
        const film = FILMS[random.integer(FILMS.length)]!;
        const opinion = (film.genre === likes ? 0.85 : 0.3) + 0.08 * random.normal();
        return { contentEmbedding: film.embedding, reward: Math.min(1, Math.max(0, opinion)) };
      }),
  };
}

function makeFilms(): Film[] {
  const random = createRandom('films');
  const direction = () => Float64Array.from({ length: EMBEDDING_DIM }, () => random.normal());
  const centres = GENRES.map((genre) => ({ genre, centre: direction() }));
  return Array.from({ length: FILMS_PER_GENRE }, (_, i) =>
    centres.map(({ genre, centre }) => {
      const own = direction();
      return {
        title: `${genre} ${i + 1}`,
        genre,
        embedding: Float32Array.from(centre, (value, at) => value + 0.6 * own[at]!),
      };
    }),
  ).flat();
}

import { Index } from 'usearch';

/** Neighbours of a node in the graph, and candidates while building it. */
const CONNECTIVITY = 16;
const EXPANSION_ADD = 64;

/**
 * The graph index (HNSW) of usearch over features, for the largest products. Rows get one more
 * number that gives all of them the same length (Bachrach et al. 2014). Without it, the graph of
 * inner products finds only half of the answers.
 * @param rows n×p, row by row
 * @param most most answers of a search
 */
export function approximateIndex(rows: Float32Array, p: number, most: number) {
  const count = rows.length / p;
  const squares = new Float64Array(count);
  for (let at = 0; at < rows.length; at++) squares[Math.floor(at / p)]! += rows[at]! ** 2;
  const longest = squares.reduce((found, square) => Math.max(found, square), 0);
  const vectors = new Float32Array(count * (p + 1));
  for (let row = 0; row < count; row++) {
    vectors.set(rows.subarray(row * p, (row + 1) * p), row * (p + 1));
    vectors[row * (p + 1) + p] = Math.sqrt(longest - squares[row]!);
  }
  const config = {
    dimensions: p + 1,
    metric: 'ip',
    quantization: 'f32',
    connectivity: CONNECTIVITY,
    expansion_add: EXPANSION_ADD,
    expansion_search: most,
    multi: false,
  };
  const index = new Index(config as ConstructorParameters<typeof Index>[0]);
  const keys = BigUint64Array.from({ length: count }, (_, i) => BigInt(i));
  index.add(keys, vectors, 1);
  /** Rows by descending product with m, as far as the graph finds them. */
  return (m: Float64Array): number[] => {
    const query = new Float32Array(p + 1);
    query.set(m);
    const found = index.search(query, most, 1);
    return Array.from(found.keys as BigUint64Array, Number);
  };
}

/** Objects under `prefix` expire `days` after they were written, at the next midnight UTC. */
interface Expiration {
  readonly prefix: string;
  readonly days: number;
}

/** Versions under `prefix` are removed `days` after they were replaced, but never the `keepNewest` newest of a key. */
interface NoncurrentExpiration extends Expiration {
  readonly keepNewest?: number;
}

export interface BucketSettings {
  readonly versioned: boolean;
  readonly expirations?: readonly Expiration[];
  readonly noncurrentExpirations?: readonly NoncurrentExpiration[];
}

export interface Bucket extends Required<BucketSettings> {
  readonly name: string;
}

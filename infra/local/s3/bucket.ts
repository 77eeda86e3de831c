/** Objects under `prefix` expire `days` after the write, at the next midnight UTC. */
interface Expiration {
  readonly prefix: string;
  readonly days: number;
  /** Only versions with this tag, as `key=value`. */
  readonly tag?: string;
}

/**
 * Versions under `prefix` expire `days` after their replacement, except the `keepNewest` newest of
 * each key.
 */
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

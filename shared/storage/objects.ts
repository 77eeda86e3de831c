import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  PutObjectCommand,
  type PutObjectCommandOutput,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3';
import { ConflictError } from '../errors.ts';
import { nameOf, s3Failure, statusOf } from './s3-failure.ts';

/** Identifies these exact bytes of an object. */
export interface StoredVersion {
  /** In quotes, as S3 gives it. */
  readonly etag: string;
  /** Absent when the bucket is not versioned. */
  readonly versionId?: string;
}

export interface StoredObject extends StoredVersion {
  readonly body: Uint8Array;
}

/**
 * The condition of a write: only over the object with this ETag, only when there is no object, or
 * none.
 */
export type WriteCondition =
  | { readonly ifMatch: string; readonly ifNoneMatch?: never }
  | { readonly ifNoneMatch: true; readonly ifMatch?: never }
  | { readonly ifMatch?: never; readonly ifNoneMatch?: never };

/** Letters and hyphens. */
export interface ObjectTag {
  readonly key: string;
  readonly value: string;
}

export interface ListedObject {
  readonly key: string;
  readonly etag: string;
  /** Bytes. */
  readonly size: number;
  readonly lastModified: Date;
}

export interface ListedVersion {
  readonly versionId: string;
  readonly latest: boolean;
  /** A delete marker has no bytes. It records that the object was deleted. */
  readonly deleteMarker: boolean;
  readonly lastModified: Date;
}

export interface KeyedVersion extends ListedVersion {
  readonly key: string;
}

/** Most attempts of a write that overlaps with another one. */
const MAX_WRITE_ATTEMPTS = 3;

/** The interface that stores need: {@link ObjectStore}, or anything with the same guarantees. */
export type Objects = Pick<ObjectStore, 'get' | 'put' | 'delete' | 'list' | 'versions'>;

/**
 * Objects of one bucket. Every method throws `UnavailableError` when S3 does not answer, throttles
 * or fails, and `InvalidConfigurationError` when it refuses the request for good: no such bucket,
 * access denied.
 */
export class ObjectStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  /**
   * Reads an object, or one version of it.
   * @returns undefined when there is none; `not-modified` when its ETag is still `ifNoneMatch`
   */
  async get(
    key: string,
    options: { readonly ifNoneMatch?: string; readonly versionId?: string } = {},
  ): Promise<StoredObject | 'not-modified' | undefined> {
    try {
      const found = await this.#client.send(
        new GetObjectCommand({
          Bucket: this.#bucket,
          Key: key,
          IfNoneMatch: options.ifNoneMatch,
          VersionId: options.versionId,
        }),
      );
      const body = (await found.Body?.transformToByteArray()) ?? new Uint8Array();
      return { body, ...storedVersion(found) };
    } catch (error) {
      if (statusOf(error) === 304) return 'not-modified';
      if (nameOf(error) === 'NoSuchKey' || nameOf(error) === 'NoSuchVersion') return undefined;
      // The requested version is a delete marker.
      if (statusOf(error) === 405) return undefined;
      throw s3Failure('read', this.#bucket, key, error);
    }
  }

  /**
   * Writes an object. When an answer is lost, the SDK repeats the write, so that a conditional
   * write that succeeded can still end in a conflict. After a conflict, callers read the object
   * before they decide anything.
   * @param tag a tag that a lifecycle rule of the bucket selects
   * @throws ConflictError when the condition does not hold
   */
  async put(
    key: string,
    body: Uint8Array,
    condition: WriteCondition = {},
    tag?: ObjectTag,
  ): Promise<StoredVersion> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      Body: body,
      IfMatch: condition.ifMatch,
      IfNoneMatch: condition.ifNoneMatch ? '*' : undefined,
      Tagging: tag === undefined ? undefined : `${tag.key}=${tag.value}`,
    });
    try {
      return storedVersion(await this.#sendWrite(command));
    } catch (error) {
      const { ifMatch } = condition;
      if (statusOf(error) === 412) {
        throw new ConflictError(`${key}: found another object, expected ${ifMatch ?? 'none'}`, {
          cause: error,
        });
      }
      if (ifMatch !== undefined && nameOf(error) === 'NoSuchKey') {
        throw new ConflictError(`${key}: found no object, expected ${ifMatch}`, { cause: error });
      }
      throw s3Failure('write', this.#bucket, key, error);
    }
  }

  /**
   * S3 answers 409 while another conditional write to the key is in progress. The repeated write
   * then succeeds, or fails on what the other one wrote.
   */
  async #sendWrite(command: PutObjectCommand): Promise<PutObjectCommandOutput> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#client.send(command);
      } catch (error) {
        if (nameOf(error) !== 'ConditionalRequestConflict' || attempt === MAX_WRITE_ATTEMPTS) throw error;
      }
    }
  }

  /**
   * Deletes an object, in a versioned bucket by a delete marker; with a version id, deletes that
   * version for good. A missing object counts as deleted.
   */
  async delete(key: string, options: { readonly versionId?: string } = {}): Promise<void> {
    try {
      await this.#client.send(
        new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, VersionId: options.versionId }),
      );
    } catch (error) {
      throw s3Failure('delete', this.#bucket, key, error);
    }
  }

  /** Objects whose keys start with `prefix`, in order of their UTF-8 bytes. */
  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    try {
      const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix: prefix });
      for await (const { Contents = [] } of pages) {
        for (const { Key = '', ETag = '', Size = 0, LastModified = new Date(0) } of Contents) {
          yield { key: Key, etag: ETag, size: Size, lastModified: LastModified };
        }
      }
    } catch (error) {
      throw s3Failure('list', this.#bucket, prefix, error);
    }
  }

  /**
   * Versions and delete markers of a key, newest first. S3 timestamps have whole seconds, so the
   * position of a delete marker among versions of the same second is unknown.
   */
  async *versions(key: string): AsyncGenerator<ListedVersion, void, undefined> {
    for await (const page of this.#versionPages(key)) {
      yield* versionsOf(page).filter((version) => version.key === key);
      // Keys come in order, and the key itself is the first of those with this prefix.
      if (page.NextKeyMarker !== key) return;
    }
  }

  /** Versions and delete markers of all keys that start with `prefix`, by key. */
  async *versionsUnder(prefix: string): AsyncGenerator<KeyedVersion, void, undefined> {
    for await (const page of this.#versionPages(prefix)) yield* versionsOf(page);
  }

  async *#versionPages(prefix: string): AsyncGenerator<ListObjectVersionsCommandOutput, void, undefined> {
    let page: ListObjectVersionsCommandOutput | undefined;
    do {
      try {
        page = await this.#client.send(
          new ListObjectVersionsCommand({
            Bucket: this.#bucket,
            Prefix: prefix,
            KeyMarker: page?.NextKeyMarker,
            VersionIdMarker: page?.NextVersionIdMarker,
          }),
        );
      } catch (error) {
        throw s3Failure('list versions of', this.#bucket, prefix, error);
      }
      yield page;
    } while (page.IsTruncated);
  }
}

function versionsOf(page: ListObjectVersionsCommandOutput): KeyedVersion[] {
  const { Versions = [], DeleteMarkers = [] } = page;
  return [
    ...Versions.map((version) => ({ ...version, deleteMarker: false })),
    ...DeleteMarkers.map((marker) => ({ ...marker, deleteMarker: true })),
  ]
    .map(({ Key = '', VersionId = '', IsLatest = false, LastModified = new Date(0), deleteMarker }) => ({
      key: Key,
      versionId: VersionId,
      latest: IsLatest,
      deleteMarker,
      lastModified: LastModified,
    }))
    .sort(
      (a, b) =>
        Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) ||
        Number(b.latest) - Number(a.latest) ||
        b.lastModified.getTime() - a.lastModified.getTime(),
    );
}

function storedVersion(answer: { ETag?: string | undefined; VersionId?: string | undefined }): StoredVersion {
  const { ETag = '', VersionId } = answer;
  return VersionId === undefined ? { etag: ETag } : { etag: ETag, versionId: VersionId };
}

import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  type IBucket,
  type LifecycleRule,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { TOMBSTONE_DAYS } from '../shared/adapters/tombstone.ts';
import { PREFIX, TOMBSTONE_TAG } from '../shared/config/names.ts';
import type { AttuneFunction } from './attune-function.ts';

/**
 * Noncurrent versions expire after this time, except the newest ones, so that an operator can roll
 * back.
 */
const NONCURRENT_VERSIONS = { days: 30, alwaysKept: 10 };
const QUARANTINE_DAYS = 14;

/**
 * At most one rule expires the versions of an object, except a tombstone's.
 */
const LIFECYCLE: LifecycleRule[] = [
  {
    id: 'remains',
    expiredObjectDeleteMarker: true,
    abortIncompleteMultipartUploadAfter: Duration.days(1),
  },
  ...[PREFIX.adapters, PREFIX.basis, PREFIX.skills].map((prefix) => ({
    id: `earlier versions of ${prefix}`,
    prefix,
    noncurrentVersionExpiration: Duration.days(NONCURRENT_VERSIONS.days),
    noncurrentVersionsToRetain: NONCURRENT_VERSIONS.alwaysKept,
  })),
  {
    // Longer than a tombstone counts. A noncurrent one expires by whichever of this rule and the
    // one above comes first, as in S3.
    id: 'tombstones of forgotten users',
    prefix: PREFIX.adapters,
    tagFilters: { [TOMBSTONE_TAG.key]: TOMBSTONE_TAG.value },
    expiration: Duration.days(TOMBSTONE_DAYS + 1),
    noncurrentVersionExpiration: Duration.days(1),
  },
  {
    id: 'quarantine',
    prefix: PREFIX.quarantine,
    expiration: Duration.days(QUARANTINE_DAYS),
    noncurrentVersionExpiration: Duration.days(1),
  },
  {
    id: 'episodes that reached the table',
    prefix: PREFIX.pending,
    noncurrentVersionExpiration: Duration.days(1),
  },
  {
    id: 'shards that no catalogue names',
    prefix: PREFIX.catalogue,
    noncurrentVersionExpiration: Duration.days(1),
  },
  {
    id: 'earlier leases and samples',
    prefix: PREFIX.consolidation,
    noncurrentVersionExpiration: Duration.days(1),
  },
];

/** Actions to read an object, and an earlier version when the newest is damaged. */
export const READ_ACTIONS = ['s3:GetObject', 's3:GetObjectVersion'];

export interface AdapterBucketProps {
  /** An existing bucket to use instead of a new one. */
  readonly bucket?: IBucket | Bucket | undefined;
  readonly encryptionKey?: IKey | undefined;
  /**
   * Default: the bucket stays when the stack is deleted, but not when its first deployment fails.
   */
  readonly removalPolicy: RemovalPolicy | undefined;
}

/** The bucket for adapters, basis, population model, quarantined events and pending episodes. */
export class AdapterBucket extends Construct {
  readonly bucket: IBucket | Bucket;

  constructor(scope: Construct, id: string, props: AdapterBucketProps) {
    super(scope, id);
    this.bucket = props.bucket ?? this.createBucket(props);
  }

  private createBucket({ encryptionKey, removalPolicy }: AdapterBucketProps): Bucket {
    const bucket = new Bucket(this, 'Bucket', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      ...(encryptionKey === undefined
        ? { encryption: BucketEncryption.S3_MANAGED }
        : { encryption: BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }),
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      versioned: true,
      lifecycleRules: LIFECYCLE,
      removalPolicy: removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
      autoDeleteObjects: removalPolicy === RemovalPolicy.DESTROY,
    });
    denyUnconditionalAdapterWrites(bucket);
    Validations.of(bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'Only the functions of this stack use the bucket. Access logs would cost more than the objects.',
    });
    return bucket;
  }

  /** Grants a function these actions on the objects under these prefixes only. */
  allowObjects(grantee: AttuneFunction, actions: readonly string[], prefixes: readonly string[]): void {
    const { bucketArn, node } = this.bucket;
    const created = node.defaultChild as CfnBucket | undefined;
    // The ARN of an existing bucket can be a token, and a cdk-nag finding cannot contain a token.
    for (const prefix of created === undefined ? [] : prefixes) {
      Validations.of(grantee.role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::<${Stack.of(created!).getLogicalId(created!)}.Arn>/${prefix}*]`,
        reason: 'Keys contain hashes of users and events, so a prefix is the narrowest possible permission.',
      });
    }
    grantee.allow(
      actions,
      prefixes.map((prefix) => `${bucketArn}/${prefix}*`),
    );
  }

  /**
   * Lets a function list the bucket, because without s3:ListBucket S3 answers GetObject of a
   * missing key with 403. It has no condition on s3:prefix: a GetObject has no prefix, so the
   * condition would fail. Listings reveal no user ids, because keys contain only their hashes. With
   * s3:ListBucketVersions it finds the version before a damaged one.
   */
  allowListing(grantee: AttuneFunction): void {
    grantee.allow(['s3:ListBucket', 's3:ListBucketVersions'], [this.bucket.bucketArn]);
  }
}

/**
 * Denies all writes of adapters without If-Match or If-None-Match, so that no writer overwrites the
 * commit of another. Parts of a multipart upload cannot have these headers, so the statement
 * checks only requests that create an object (S3 guide, "Enforce conditional writes").
 */
function denyUnconditionalAdapterWrites(bucket: Bucket): void {
  bucket.addToResourcePolicy(
    new PolicyStatement({
      sid: 'AdaptersAreWrittenConditionally',
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions: ['s3:PutObject'],
      resources: [bucket.arnForObjects(`${PREFIX.adapters}*`)],
      conditions: {
        Null: { 's3:if-match': 'true', 's3:if-none-match': 'true' },
        Bool: { 's3:ObjectCreationOperation': 'true' },
      },
    }),
  );
}

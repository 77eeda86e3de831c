import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  type LifecycleRule,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { PREFIX } from '../shared/config/names.ts';
import type { AttuneFunction } from './attune-function.ts';

/** Earlier versions stay for this long, and the newest of them for good: adapters and skills can be rolled back. */
const EARLIER_VERSIONS = { days: 30, alwaysKept: 10 };
const QUARANTINE_DAYS = 14;

/** No two rules expire versions of the same object, so that none depends on how S3 settles a conflict. */
const LIFECYCLE: LifecycleRule[] = [
  {
    id: 'remains',
    expiredObjectDeleteMarker: true,
    abortIncompleteMultipartUploadAfter: Duration.days(1),
  },
  ...[PREFIX.adapters, PREFIX.basis, PREFIX.skills].map((prefix) => ({
    id: `earlier versions of ${prefix}`,
    prefix,
    noncurrentVersionExpiration: Duration.days(EARLIER_VERSIONS.days),
    noncurrentVersionsToRetain: EARLIER_VERSIONS.alwaysKept,
  })),
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
    id: 'earlier leases and samples',
    prefix: PREFIX.consolidation,
    noncurrentVersionExpiration: Duration.days(1),
  },
];

/** The bucket of adapters, their shared objects, quarantined events and episodes that wait for the table. */
export class AdapterBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.bucket = new Bucket(this, 'Bucket', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      versioned: true,
      lifecycleRules: LIFECYCLE,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.refuseUnconditionalAdapterWrites();
    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason: 'Only this stack’s functions touch the bucket; access logs would cost more than the objects.',
    });
  }

  /** Lets a function do these actions on the objects under these prefixes, and on no others. */
  allowObjects(grantee: AttuneFunction, actions: readonly string[], prefixes: readonly string[]): void {
    const { bucketArn, node } = this.bucket;
    const logicalId = Stack.of(this).getLogicalId(node.defaultChild as CfnBucket);
    for (const prefix of prefixes) {
      Validations.of(grantee.role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>/${prefix}*]`,
        reason: 'Objects are named by users and events; the prefix is as narrow as a permission can be.',
      });
    }
    grantee.allow(
      actions,
      prefixes.map((prefix) => `${bucketArn}/${prefix}*`),
    );
  }

  /**
   * Lets a function list the bucket, and so tell a missing object from a forbidden one: without s3:ListBucket, S3
   * answers GetObject of a missing key with 403. There is no condition on s3:prefix, because a GetObject carries no
   * prefix and would not meet it. Keys name users by hashes only.
   */
  allowListing(grantee: AttuneFunction): void {
    grantee.allow(['s3:ListBucket'], [this.bucket.bucketArn]);
  }

  /**
   * An adapter is only ever written with If-Match or If-None-Match, by whomever, so no writer can undo another's
   * commit. Both keys are absent from an unconditional PutObject; parts of a multipart upload cannot carry them, but
   * its completion can (S3 guide, "Enforce conditional writes").
   */
  private refuseUnconditionalAdapterWrites(): void {
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AdaptersAreWrittenConditionally',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['s3:PutObject'],
        resources: [this.bucket.arnForObjects(`${PREFIX.adapters}*`)],
        conditions: {
          Null: { 's3:if-match': 'true', 's3:if-none-match': 'true' },
          Bool: { 's3:ObjectCreationOperation': 'true' },
        },
      }),
    );
  }
}

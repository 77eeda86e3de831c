import type { ITableV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import type { ISecurityGroup, IVpc, SubnetSelection, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';

/** Properties of an Attune. Every property has a default; invalid values fail during synthesis. */
export interface AttuneProps extends NetworkProps {
  /** Length of the application's embeddings, 16 to 4096. Default 64. */
  readonly embeddingDim?: number | undefined;
  /**
   * Name of the model of the embeddings, 1 to 128 characters. Events with another one are refused.
   * Default `default`.
   */
  readonly embeddingModel?: string | undefined;
  /**
   * Rank of the adapters, 1 to 64; rank × embeddingDim at most 16384 for the learner `bayesian`.
   * Default 4.
   */
  readonly rank?: number | undefined;
  /** LoRA's alpha: an adapter adds (scalingFactor / rank)·B·A·x. 0.001 to 1024; default 1. */
  readonly scalingFactor?: number | undefined;
  /** Default `bayesian`. */
  readonly learner?: 'bayesian' | 'sgd' | undefined;
  /** Learning rate of the learner `sgd`. Default 1. */
  readonly learningRate?: number | undefined;
  /**
   * Share of users who train with other learning rates, 0 to 0.5; learner `sgd` only. Default 0.
   */
  readonly exploration?: number | undefined;
  /** Days until an episode in the ReasoningBank expires, 1 to 3650. Default 90. */
  readonly episodeTtlDays?: number | undefined;
  /** Whether users profit from others. Default `on`. */
  readonly transfer?: 'on' | 'off' | undefined;
  /**
   * Share of users served without adapter, to measure the effect of adapters; 0 to 0.5. Default 0.
   */
  readonly holdout?: number | undefined;
  /** Schedule of consolidation: `rate(...)` or `cron(...)` in UTC. Default `rate(15 minutes)`. */
  readonly consolidationSchedule?: string | undefined;
  /**
   * Most batches of feedback that are applied at the same time, 2 to 1000. Default 5, because a new
   * account has 10 concurrent executions.
   */
  readonly maxConcurrency?: number | undefined;
  /** MB of update-adapters, 128 to 10240. Default 512. */
  readonly updateMemory?: number | undefined;
  /** MB of personalize, 128 to 10240. Default 512. */
  readonly personalizeMemory?: number | undefined;
  /** MB of consolidate-patterns, 128 to 10240. Default 1024. */
  readonly consolidateMemory?: number | undefined;
  /** Most request units per second of the table, 1 to 40000. Default 1000. */
  readonly tableMaxReadUnits?: number | undefined;
  readonly tableMaxWriteUnits?: number | undefined;
  /** Days of log retention that CloudWatch Logs supports. Default 30. */
  readonly logRetentionDays?: number | undefined;
  /**
   * `retain` keeps bucket and table when the stack is deleted, `destroy` deletes them with
   * everything learned. Default `retain`.
   */
  readonly removalPolicy?: 'retain' | 'destroy' | undefined;
  /**
   * Whether personalize has a URL with an IAM signature. Default: true in regions where Lambda has
   * function URLs.
   */
  readonly url?: boolean | undefined;
  /** Whether there are alarms. Default true. */
  readonly alarms?: boolean | undefined;
  /** Address that receives alarms and their return to OK. */
  readonly alarmEmail?: string | undefined;
  /**
   * A topic of your own for the same, instead of `alarmEmail`. CloudWatch needs permission to
   * publish to it.
   */
  readonly alarmTopic?: ITopic | undefined;
  /** Whether there is a dashboard. Default true. */
  readonly dashboard?: boolean | undefined;
  /**
   * Monthly cost of the account in US dollars above which `alarmEmail` is warned. Default: no
   * budget.
   */
  readonly monthlyBudget?: number | undefined;
  /** Key for bucket, table and queues; the stack must then have a region. Default: keys of AWS. */
  readonly encryptionKey?: IKey | undefined;
  /** A versioned bucket of your own. You manage its lifecycle and policy. */
  readonly bucket?: IBucket | Bucket | undefined;
  /** A table of your own, with the keys and indexes that docs/reasoning-bank.md lists. */
  readonly table?: ITableV2 | TableV2 | undefined;
}

/** VPC of the functions. There they need endpoints of S3, DynamoDB and SQS, or a NAT gateway. */
export interface NetworkProps {
  /** Default: no VPC. */
  readonly vpc?: IVpc | Vpc | undefined;
  /** Default: the private subnets. */
  readonly vpcSubnets?: SubnetSelection | undefined;
  /** Default: a new one for each function. */
  readonly securityGroups?: ISecurityGroup[] | undefined;
}

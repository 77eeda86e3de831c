import { CfnOutput, Names, RemovalPolicy, Stack, Tags, Token } from 'aws-cdk-lib';
import type { Alarm, Dashboard, Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import type { ITableV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Grant, type IGrantable } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { OUTPUT, VARIABLE } from '../shared/config/names.ts';
import {
  type DeploymentSettings,
  environmentOf,
  learningSettingsOf,
  SETTINGS,
  settingsFromContext,
} from '../shared/config/settings.ts';
import { InvalidConfigurationError } from '../shared/errors.ts';
import { AdapterBucket } from './adapter-bucket.ts';
import type { AttuneProps } from './attune-props.ts';
import { ConsolidatePatterns } from './consolidate-patterns.ts';
import { FeedbackQueue } from './feedback-queue.ts';
import { type AttuneMetrics, metricsOf } from './metrics.ts';
import { Monitoring } from './monitoring.ts';
import { Personalize } from './personalize.ts';
import { ReasoningTable } from './reasoning-table.ts';
import { hasBudgets, hasFunctionUrls, regionOf } from './regions.ts';
import { UPDATE_TIMEOUT, UpdateAdapters } from './update-adapters.ts';

/**
 * Attune in a stack: the feedback queue, the functions that learn and answer, the bucket of
 * adapters and the table of the ReasoningBank. Several in one stack or account do not collide.
 *
 * Every resource is a readonly property. `node.defaultChild` of each is its CloudFormation
 * resource, for settings that Attune's properties do not cover.
 */
export class Attune extends Construct {
  /**
   * The name of this deployment: unique in its account and region, and the dimension `stack` of its
   * metrics.
   */
  readonly deploymentName: string;
  /** FIFO queue of feedback events; applications send to it. */
  readonly feedbackQueue: Queue;
  /** Feedback events that failed every attempt. */
  readonly deadLetterQueue: Queue;
  /** Adapters, basis, population model, catalogue, quarantine. */
  readonly bucket: IBucket | Bucket;
  /** The ReasoningBank's table. */
  readonly table: ITableV2 | TableV2;
  /** Applies feedback events to adapters. */
  readonly updateFunction: LambdaFunction;
  /** Learns the population model from episodes. */
  readonly consolidateFunction: LambdaFunction;
  /** Runs of consolidation that failed every attempt. */
  readonly consolidationFailures: Queue;
  /** Scores, embeds and recommends items for a user. */
  readonly personalizeFunction: LambdaFunction;
  /** URL of `personalizeFunction`; undefined when it has none. */
  readonly personalizeUrl: string | undefined;
  /** Empty when `alarms` is false. */
  readonly alarms: readonly Alarm[];
  /** Undefined when `dashboard` is false. */
  readonly dashboard: Dashboard | undefined;
  readonly #settings: DeploymentSettings;
  readonly #metrics: AttuneMetrics;
  readonly #key: IKey | undefined;

  /** @throws Error naming every property that is out of range, and the valid range */
  constructor(scope: Construct, id: string, props: AttuneProps = {}) {
    super(scope, id);
    const settings = settingsOf(props);
    checkRegion(this, settings, props);
    this.deploymentName = Names.uniqueResourceName(this, {
      maxLength: 63,
      separator: '-',
      allowedSpecialCharacters: '-',
    });
    this.#settings = settings;
    this.#metrics = metricsOf(this.deploymentName);
    this.#key = props.encryptionKey;
    const removalPolicy = settings.removalPolicy === 'destroy' ? RemovalPolicy.DESTROY : undefined;
    const feedback = new FeedbackQueue(this, 'Feedback', {
      consumerTimeout: UPDATE_TIMEOUT,
      deploymentName: this.deploymentName,
      encryptionKey: props.encryptionKey,
    });
    const adapters = new AdapterBucket(this, 'Adapters', { ...props, removalPolicy });
    const bank = new ReasoningTable(this, 'ReasoningBank', { ...props, settings, removalPolicy });
    const { bucketName } = adapters.bucket;
    const { tableName } = bank.table;
    const common = {
      environment: {
        ...environmentOf({ ...settings, bucket: bucketName, table: tableName }),
        [VARIABLE.deployment]: this.deploymentName,
      },
      settings,
      network: props,
      encryptionKey: props.encryptionKey,
      adapters,
    };
    const update = new UpdateAdapters(this, 'UpdateAdapters', { ...common, feedback, bank });
    const consolidate = new ConsolidatePatterns(this, 'ConsolidatePatterns', { ...common, bank });
    const personalize = new Personalize(this, 'Personalize', {
      ...common,
      hasUrl: settings.url ?? hasFunctionUrls(regionOf(this)),
    });
    const monitoring = new Monitoring(
      this,
      'Monitoring',
      {
        feedback,
        bank,
        update,
        consolidate,
        personalize,
        metrics: this.#metrics,
        schedule: settings.consolidationSchedule,
      },
      { ...settings, alarmTopic: props.alarmTopic, deploymentName: this.deploymentName },
    );
    Tags.of(this).add('application', 'attune');

    this.feedbackQueue = feedback.queue;
    this.deadLetterQueue = feedback.deadLetters;
    this.bucket = adapters.bucket;
    this.table = bank.table;
    this.updateFunction = update;
    this.consolidateFunction = consolidate.function;
    this.consolidationFailures = consolidate.failures;
    this.personalizeFunction = personalize;
    this.personalizeUrl = personalize.url?.url;
    this.alarms = monitoring.alarms;
    this.dashboard = monitoring.dashboard;
  }

  /** Permits a role to send feedback events, as `publish` of `attune/client` does. */
  grantPublish(grantee: IGrantable): Grant {
    this.#key?.grant(grantee, 'kms:GenerateDataKey', 'kms:Decrypt');
    return Grant.addToPrincipal({
      grantee,
      actions: ['sqs:SendMessage'],
      resourceArns: [this.feedbackQueue.queueArn],
    });
  }

  /** Permits a role to request scores, embeddings and recommendations, by Invoke and by the URL. */
  grantPersonalize(grantee: IGrantable): Grant {
    return Grant.addToPrincipal({
      grantee,
      actions: [
        'lambda:InvokeFunction',
        ...(this.personalizeUrl === undefined ? [] : ['lambda:InvokeFunctionUrl']),
      ],
      resourceArns: [this.personalizeFunction.functionArn],
    });
  }

  /**
   * One of Attune's own metrics in this deployment.
   * @param options replace statistic and period; default: those of the dashboard, over 5 minutes
   */
  metric(name: keyof AttuneMetrics, options: MetricOptions = {}): Metric {
    return this.#metrics[name].with(options);
  }

  /** Interactions that took effect; sum. */
  metricInteractionsApplied(options?: MetricOptions): Metric {
    return this.metric('interactionsApplied', options);
  }

  /** Milliseconds from sending an event to its effect; 95th percentile. */
  metricEventToEffect(options?: MetricOptions): Metric {
    return this.metric('eventToEffectTail', options);
  }

  /** Events that can never be applied; sum. */
  metricEventsQuarantined(options?: MetricOptions): Metric {
    return this.metric('eventsQuarantined', options);
  }

  /** Loss with adapters divided by the loss without, minus 1; average. */
  metricLossChange(options?: MetricOptions): Metric {
    return this.metric('lossChange', options);
  }

  /**
   * Adds the stack outputs that the commands of `attune` read from `cdk deploy --outputs-file`.
   * Only one Attune per stack can have them.
   */
  addOutputs(): void {
    const outputs: Record<keyof typeof OUTPUT, string | undefined> = {
      feedbackQueueUrl: this.feedbackQueue.queueUrl,
      deadLetterQueueUrl: this.deadLetterQueue.queueUrl,
      consolidationFailuresUrl: this.consolidationFailures.queueUrl,
      bucketName: this.bucket.bucketName,
      tableName: this.table.tableName,
      updateFunctionName: this.updateFunction.functionName,
      consolidateFunctionName: this.consolidateFunction.functionName,
      personalizeFunctionName: this.personalizeFunction.functionName,
      personalizeUrl: this.personalizeUrl,
      learningSettings: JSON.stringify(learningSettingsOf(this.#settings)),
    };
    for (const [name, value] of Object.entries(outputs)) {
      if (value !== undefined) new CfnOutput(Stack.of(this), OUTPUT[name as keyof typeof OUTPUT], { value });
    }
  }
}

/** The validated settings among the properties of Attune. */
function settingsOf(props: AttuneProps): DeploymentSettings {
  const known = new Set([...SETTINGS, ...RESOURCE_PROPS].filter((name) => name !== 'stackName'));
  const unknown = Object.keys(props).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new InvalidConfigurationError(
      `${unknown.join(', ')}: found an unknown property of Attune, expected one of ${[...known].join(', ')}`,
    );
  }
  return settingsFromContext(
    Object.fromEntries(Object.entries(props).filter(([name]) => SETTINGS.includes(name))),
  );
}

const RESOURCE_PROPS = [
  'alarmTopic',
  'encryptionKey',
  'bucket',
  'table',
  'vpc',
  'vpcSubnets',
  'securityGroups',
] as const satisfies (keyof AttuneProps)[];

/**
 * @throws InvalidConfigurationError for resources that CloudFormation lacks in the stack's region
 */
function checkRegion(
  scope: Construct,
  { url, monthlyBudget }: DeploymentSettings,
  { encryptionKey, table }: AttuneProps,
): void {
  if (encryptionKey && !table && Token.isUnresolved(Stack.of(scope).region)) {
    throw new InvalidConfigurationError(
      'encryptionKey: found a stack without a region, expected env: { region }, because a table needs it for its key',
    );
  }
  const region = regionOf(scope);
  if (url === true && !hasFunctionUrls(region)) {
    throw new InvalidConfigurationError(
      `url: found true in ${region}, expected false, because Lambda has no function URLs there; use Invoke`,
    );
  }
  if (monthlyBudget !== undefined && !hasBudgets(region)) {
    throw new InvalidConfigurationError(
      `monthlyBudget: found ${monthlyBudget} in ${region}, expected none, because CloudFormation has no budgets ` +
        'there; a budget covers the whole account, so one in another region is enough',
    );
  }
}

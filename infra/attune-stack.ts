import { CfnOutput, Stack, type StackProps, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { OUTPUT } from '../shared/config/names.ts';
import { type DeploymentSettings, environmentOf, learningSettingsOf } from '../shared/config/settings.ts';
import { AdapterBucket } from './adapter-bucket.ts';
import { ConsolidatePatterns } from './consolidate-patterns.ts';
import { FeedbackQueue } from './feedback-queue.ts';
import { Monitoring } from './monitoring.ts';
import { Personalize } from './personalize.ts';
import { ReasoningTable } from './reasoning-table.ts';
import { UPDATE_TIMEOUT, UpdateAdapters } from './update-adapters.ts';

export interface AttuneStackProps extends StackProps {
  readonly settings: DeploymentSettings;
}

/** Attune in one account and region. */
export class AttuneStack extends Stack {
  constructor(scope: Construct, id: string, { settings, ...props }: AttuneStackProps) {
    super(scope, id, {
      description: 'Attune: a LoRA adapter for every user, learned online from feedback',
      stackName: settings.stackName,
      ...props,
    });
    const feedback = new FeedbackQueue(this, 'Feedback', UPDATE_TIMEOUT);
    const adapters = new AdapterBucket(this, 'Adapters');
    const bank = new ReasoningTable(this, 'ReasoningBank', settings);
    const { bucketName } = adapters.bucket;
    const { tableName } = bank.table;
    const environment = environmentOf({ ...settings, bucket: bucketName, table: tableName });

    const update = new UpdateAdapters(this, 'UpdateAdapters', {
      environment,
      feedback,
      adapters,
      bank,
      maxConcurrency: settings.maxConcurrency,
    });
    const schedule = settings.consolidationSchedule;
    const consolidate = new ConsolidatePatterns(this, 'ConsolidatePatterns', {
      environment,
      adapters,
      bank,
      schedule,
    });
    const personalize = new Personalize(this, 'Personalize', { environment, adapters });

    new Monitoring(
      this,
      'Monitoring',
      { feedback, bank, update, consolidate, personalize, schedule },
      settings,
    );

    Tags.of(this).add('application', 'attune');
    this.addOutputs({
      feedbackQueueUrl: feedback.queue.queueUrl,
      deadLetterQueueUrl: feedback.deadLetters.queueUrl,
      bucketName,
      tableName,
      updateFunctionName: update.functionName,
      consolidateFunctionName: consolidate.function.functionName,
      personalizeFunctionName: personalize.functionName,
      personalizeUrl: personalize.url.url,
      learningSettings: JSON.stringify(learningSettingsOf(settings)),
    });
  }

  private addOutputs(outputs: Record<keyof typeof OUTPUT, string>): void {
    for (const [name, value] of Object.entries(outputs)) {
      new CfnOutput(this, OUTPUT[name as keyof typeof OUTPUT], { value });
    }
  }
}

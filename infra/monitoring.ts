import { Stack, Validations } from 'aws-cdk-lib';
import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { DeploymentSettings } from '../shared/config/settings.ts';
import { Alarms } from './alarms.ts';
import { addDashboard } from './dashboard.ts';
import type { MonitoredParts } from './monitored-parts.ts';

/** Alarms, the dashboard and, when an address is set, whom they reach. */
export class Monitoring extends Construct {
  constructor(scope: Construct, id: string, parts: MonitoredParts, settings: DeploymentSettings) {
    super(scope, id);
    const { alarmEmail, monthlyBudget } = settings;
    let action: SnsAction | undefined;
    if (alarmEmail !== undefined) {
      action = new SnsAction(this.alarmTopic(alarmEmail));
      if (monthlyBudget !== undefined) this.addBudget(monthlyBudget, alarmEmail);
    }
    const alarms = new Alarms(this, 'Alarms', parts, action);
    addDashboard(this, 'Dashboard', parts, alarms.all);
  }

  private alarmTopic(address: string): Topic {
    const topic = new Topic(this, 'Topic', { displayName: 'Attune alarms', enforceSSL: true });
    // The TLS policy replaces the default one, under which CloudWatch may publish.
    topic.grantPublish(
      new ServicePrincipal('cloudwatch.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    topic.addSubscription(new EmailSubscription(address));
    Validations.of(topic).acknowledge({
      id: 'Serverless-SNSRedrivePolicy',
      reason:
        'A mail about an alarm that cannot be delivered is of no use later; the alarm itself shows its state.',
    });
    return topic;
  }

  /** Covers the whole account: a budget of one stack needs cost allocation tags, which a template cannot turn on. */
  private addBudget(amount: number, address: string): void {
    new CfnBudget(this, 'Budget', {
      budget: { budgetType: 'COST', timeUnit: 'MONTHLY', budgetLimit: { amount, unit: 'USD' } },
      notificationsWithSubscribers: ['ACTUAL', 'FORECASTED'].map((notificationType) => ({
        notification: {
          notificationType,
          comparisonOperator: 'GREATER_THAN',
          threshold: 100,
          thresholdType: 'PERCENTAGE',
        },
        subscribers: [{ subscriptionType: 'EMAIL', address }],
      })),
    });
  }
}

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

/** Alarms, the dashboard and, if `alarmEmail` is set, e-mail notification. */
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
    // The TLS policy replaces the default policy, which would let CloudWatch publish.
    topic.grantPublish(
      new ServicePrincipal('cloudwatch.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    topic.addSubscription(new EmailSubscription(address));
    Validations.of(topic).acknowledge({
      id: 'Serverless-SNSRedrivePolicy',
      reason: 'A late e-mail about an alarm has no use, and the alarm itself shows its state.',
    });
    return topic;
  }

  /**
   * Covers the whole account, because a template cannot activate the cost allocation tags of a
   * stack budget.
   */
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

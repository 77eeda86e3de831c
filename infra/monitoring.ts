import { Annotations, Stack, Validations } from 'aws-cdk-lib';
import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import type { Alarm, Dashboard } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { DeploymentSettings } from '../shared/config/settings.ts';
import { Alarms } from './alarms.ts';
import { addDashboard } from './dashboard.ts';
import type { MonitoredParts } from './monitored-parts.ts';

export interface MonitoringProps
  extends Pick<DeploymentSettings, 'alarms' | 'alarmEmail' | 'dashboard' | 'monthlyBudget'> {
  /** Name of the dashboard, followed by the region. */
  readonly deploymentName: string;
  /** A topic to notify instead of `alarmEmail`. */
  readonly alarmTopic: ITopic | undefined;
}

/** Alarms, the dashboard and, if `alarmEmail` or `alarmTopic` is set, notification. */
export class Monitoring extends Construct {
  readonly alarms: readonly Alarm[];
  readonly dashboard: Dashboard | undefined;

  constructor(scope: Construct, id: string, parts: MonitoredParts, props: MonitoringProps) {
    super(scope, id);
    const { alarmEmail, monthlyBudget } = props;
    if (monthlyBudget !== undefined && alarmEmail !== undefined) this.addBudget(monthlyBudget, alarmEmail);
    this.alarms = props.alarms ? this.addAlarms(parts, props) : [];
    if (!props.dashboard) return;
    this.dashboard = addDashboard(this, 'Dashboard', parts, { ...props, alarms: this.alarms });
  }

  private addAlarms(parts: MonitoredParts, { alarmTopic, alarmEmail }: MonitoringProps): readonly Alarm[] {
    const topic = alarmTopic ?? (alarmEmail === undefined ? undefined : this.createTopic(alarmEmail));
    if (topic === undefined) {
      Annotations.of(this).addWarningV2(
        'attune:nobodyHearsAlarms',
        'alarmEmail: found none, so nobody is told when an alarm goes off; alarms only show in CloudWatch. Set alarmEmail (or alarms: false).',
      );
    }
    return new Alarms(this, 'Alarms', parts, topic && new SnsAction(topic)).all;
  }

  private createTopic(address: string): Topic {
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

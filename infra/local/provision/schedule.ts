import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { ACCOUNT_ID, REGION } from '../environment.ts';
import { AccessDenied } from '../iam/permissions.ts';
import { Schedule } from '../schedule.ts';
import { parseSchedule } from '../schedule-expression.ts';
import { assumedRole } from './iam.ts';
import { functionOf, ignored, type Provisioner, parseProperties, physicalName, queueOf } from './resource.ts';

const schema = z.strictObject({
  Name: z.string().optional(),
  ScheduleExpression: z.string(),
  ScheduleExpressionTimezone: z.enum(['UTC', 'Etc/UTC']).optional(),
  State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
  Target: z.strictObject({
    Arn: z.string(),
    Input: z.string().optional(),
    // A denied run is not retried; EventInvokeConfig governs failures of the function itself.
    RetryPolicy: ignored,
    DeadLetterConfig: z.strictObject({ Arn: z.string() }).optional(),
    RoleArn: z.unknown().optional(),
  }),
  FlexibleTimeWindow: ignored,
  Description: ignored,
  GroupName: ignored,
});

/** AWS::Scheduler::Schedule with a function as target. */
export const schedule: Provisioner = (resource, services) => {
  const { Name, ScheduleExpression, State, Target } = parseProperties(schema, resource);
  const name = Name ?? physicalName(services, resource.logicalId, 64);
  const arn = `arn:aws:scheduler:${REGION}:${ACCOUNT_ID}:schedule/default/${name}`;
  const target = functionOf(services, Target.Arn, resource.logicalId);
  const next = parseSchedule(ScheduleExpression, services.clock.now());
  const role = assumedRole(services, Target.RoleArn, 'scheduler.amazonaws.com', resource.logicalId);
  const deadLetters =
    Target.DeadLetterConfig && queueOf(services, Target.DeadLetterConfig.Arn, resource.logicalId);
  const may = (action: string, on: string) =>
    services.permissions.authorize({ accessKeyId: role, action, resource: on });
  const run = (scheduledAt: number) => {
    const event = Target.Input ?? eventOf(arn, scheduledAt);
    try {
      may('lambda:InvokeFunction', target.configuration.arn);
    } catch (error) {
      if (!(error instanceof AccessDenied)) throw error;
      if (deadLetters === undefined) return;
      may('sqs:SendMessage', deadLetters.arn);
      services.sqs.send(deadLetters, event);
      return;
    }
    services.asyncEvents.accept(target, event);
  };
  if (State === 'ENABLED') services.schedules.push(new Schedule(next, run, services.clock));
  return { ref: name, attributes: { Arn: arn } };
};

/** The event of a schedule without its own input. */
function eventOf(arn: string, scheduledAt: number): string {
  return JSON.stringify({
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.scheduler',
    account: ACCOUNT_ID,
    time: new Date(scheduledAt).toISOString().replace(/\.\d+Z$/, 'Z'),
    region: REGION,
    resources: [arn],
    detail: '{}',
  });
}

import { Stack, Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/**
 * Regions in which CloudFormation has no AWS::Lambda::Url (resource specifications of November
 * 2026).
 */
const WITHOUT_FUNCTION_URL: ReadonlySet<string> = new Set([
  'ap-east-2',
  'ap-south-2',
  'ap-southeast-4',
  'ap-southeast-5',
  'ap-southeast-6',
  'ap-southeast-7',
  'ca-west-1',
  'cn-northwest-1',
  'eu-central-2',
  'eu-south-2',
  'il-central-1',
  'me-central-1',
  'mx-central-1',
  'us-gov-east-1',
  'us-gov-west-1',
]);

/** Regions in which CloudFormation has no AWS::Budgets::Budget (the same source). */
const WITHOUT_BUDGET: ReadonlySet<string> = new Set([
  'af-south-1',
  'ap-east-1',
  'ap-east-2',
  'ap-northeast-3',
  'ap-south-2',
  'ap-southeast-3',
  'ap-southeast-4',
  'ap-southeast-5',
  'ap-southeast-6',
  'ap-southeast-7',
  'ca-west-1',
  'eu-central-2',
  'eu-north-1',
  'eu-south-1',
  'eu-south-2',
  'il-central-1',
  'me-central-1',
  'me-south-1',
  'mx-central-1',
  'us-gov-east-1',
  'us-gov-west-1',
]);

/**
 * The region that a construct will be deployed to: that of its stack, otherwise the one that the
 * CDK CLI found in the credentials. Undefined when neither is known during synthesis.
 */
export function regionOf(scope: Construct): string | undefined {
  const { region } = Stack.of(scope);
  return Token.isUnresolved(region) ? process.env.CDK_DEFAULT_REGION : region;
}

export function hasFunctionUrls(region: string | undefined): boolean {
  return region === undefined || !WITHOUT_FUNCTION_URL.has(region);
}

export function hasBudgets(region: string | undefined): boolean {
  return region === undefined || !WITHOUT_BUDGET.has(region);
}

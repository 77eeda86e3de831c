/** URLs of the local services. */
export interface Endpoints {
  readonly sqs: string;
  readonly dynamodb: string;
  readonly s3: string;
  readonly lambda: string;
}

/** The account and region in ARNs and queue URLs of the local services. */
export const ACCOUNT_ID = '000000000000';
export const REGION = 'us-east-1';

/**
 * Environment variables that direct an AWS SDK or the AWS CLI to the local services. The
 * credentials are placeholders, because the services do not verify signatures.
 */
export function clientEnvironment(endpoints: Endpoints): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_SQS: endpoints.sqs,
    AWS_ENDPOINT_URL_DYNAMODB: endpoints.dynamodb,
    AWS_ENDPOINT_URL_S3: endpoints.s3,
    AWS_ENDPOINT_URL_LAMBDA: endpoints.lambda,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

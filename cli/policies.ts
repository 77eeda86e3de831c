/** The resources of a statement, in terms of the stack's outputs. */
export type Target =
  | 'feedbackQueue'
  | 'deadLetterQueue'
  | 'consolidationFailures'
  | 'bucket'
  | `bucket/${string}*`
  | 'table'
  | 'table/index/by-cell'
  | 'update'
  | 'personalize'
  | 'consolidate'
  /** Actions that do not support resources. */
  | '*';

export interface Grant {
  readonly actions: readonly string[];
  readonly on: readonly Target[];
}

const grant = (actions: string | readonly string[], ...on: Target[]): Grant => ({
  actions: [actions].flat(),
  on,
});

/** Without this permission, S3 answers a missing object with 403. */
const FIND = grant('s3:ListBucket', 'bucket');
const INVOKE_PERSONALIZE = grant('lambda:InvokeFunction', 'personalize');
/** To compute a user's adapter as it is served now. */
const SERVE = [FIND, grant('s3:GetObject', 'bucket/adapters/*', 'bucket/basis/*', 'bucket/skills/*')];
const READ_CATALOGUE = [FIND, grant('s3:GetObject', 'bucket/basis/*', 'bucket/catalogue/*')];
const CHANGE_CATALOGUE = [
  ...READ_CATALOGUE,
  grant(['s3:PutObject', 's3:DeleteObject'], 'bucket/catalogue/*'),
];
const READ_VERSIONS = [
  grant('s3:ListBucketVersions', 'bucket'),
  grant('s3:GetObjectVersion', 'bucket/adapters/*'),
];
const READ_MODEL = [
  grant('s3:ListBucketVersions', 'bucket'),
  grant('s3:GetObjectVersion', 'bucket/basis/*', 'bucket/skills/*'),
];
const LOOK_AT_DEAD_LETTERS = grant(['sqs:ReceiveMessage', 'sqs:ChangeMessageVisibility'], 'deadLetterQueue');
/** For `--from consolidation`. */
const LOOK_AT_FAILED_RUNS = grant(
  ['sqs:ReceiveMessage', 'sqs:ChangeMessageVisibility'],
  'consolidationFailures',
);
const LOOK_AT_MESSAGES = [FIND, LOOK_AT_DEAD_LETTERS, grant('s3:GetObject', 'bucket/quarantine/*')];
const REMOVE_MESSAGES = [
  ...LOOK_AT_MESSAGES,
  grant('sqs:DeleteMessage', 'deadLetterQueue'),
  grant('s3:DeleteObject', 'bucket/quarantine/*'),
];

/**
 * The calls of each command, and therefore its permissions. The test of `attune policy` runs every
 * command with exactly these, and fails for a missing or an unneeded one.
 */
export const POLICIES: Readonly<Record<string, readonly Grant[]>> = {
  publish: [grant(['sqs:SendMessage', 'sqs:GetQueueAttributes'], 'feedbackQueue')],
  personalize: [INVOKE_PERSONALIZE],
  recommend: [INVOKE_PERSONALIZE],
  consolidate: [grant('lambda:InvokeFunction', 'consolidate')],
  'basis build': [...READ_CATALOGUE, grant('s3:PutObject', 'bucket/basis/*', 'bucket/catalogue/*')],
  'catalogue put': [...CHANGE_CATALOGUE, grant('s3:PutObject', 'bucket/basis/*')],
  'catalogue update': CHANGE_CATALOGUE,
  'catalogue remove': CHANGE_CATALOGUE,
  'catalogue stats': READ_CATALOGUE,
  'model history': READ_MODEL,
  'model show': READ_MODEL,
  'model rollback': [
    FIND,
    ...READ_MODEL,
    grant(['s3:GetObject', 's3:PutObject'], 'bucket/basis/*', 'bucket/skills/*'),
  ],
  inspect: SERVE,
  history: READ_VERSIONS,
  rollback: [
    ...READ_VERSIONS,
    ...SERVE,
    grant('s3:PutObject', 'bucket/adapters/*'),
    // For --to 0.
    grant('s3:DeleteObject', 'bucket/adapters/*'),
  ],
  export: [
    ...READ_VERSIONS,
    ...LOOK_AT_MESSAGES,
    ...SERVE,
    grant('s3:GetObject', 'bucket/pending/*'),
    grant('dynamodb:Query', 'table'),
  ],
  forget: [
    FIND,
    grant('s3:ListBucketVersions', 'bucket'),
    grant(['s3:GetObject', 's3:PutObject', 's3:PutObjectTagging'], 'bucket/adapters/*'),
    grant('s3:GetObjectVersion', 'bucket/quarantine/*'),
    grant('s3:DeleteObjectVersion', 'bucket/adapters/*', 'bucket/pending/*', 'bucket/quarantine/*'),
    grant(['dynamodb:Query', 'dynamodb:BatchWriteItem'], 'table'),
    LOOK_AT_DEAD_LETTERS,
    grant(['sqs:DeleteMessage', 'sqs:GetQueueAttributes'], 'deadLetterQueue'),
  ],
  backup: [FIND, grant('s3:GetObject', 'bucket/*'), grant('dynamodb:Scan', 'table')],
  restore: [
    FIND,
    grant('s3:ListBucketVersions', 'bucket'),
    grant(['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject'], 'bucket/*'),
    // To scan the table that --from-table names.
    grant(['dynamodb:Scan', 'dynamodb:BatchWriteItem'], 'table'),
  ],
  'dlq list': [...LOOK_AT_MESSAGES, LOOK_AT_FAILED_RUNS],
  'dlq show': LOOK_AT_MESSAGES,
  'dlq redrive': [...REMOVE_MESSAGES, grant('sqs:SendMessage', 'feedbackQueue')],
  'dlq purge': [
    ...REMOVE_MESSAGES,
    grant(['sqs:ReceiveMessage', 'sqs:DeleteMessage'], 'consolidationFailures'),
  ],
  doctor: [
    grant(['lambda:GetAccountSettings', 'lambda:ListEventSourceMappings'], '*'),
    grant('lambda:GetFunctionConfiguration', 'update', 'personalize', 'consolidate'),
    INVOKE_PERSONALIZE,
    grant('sqs:GetQueueAttributes', 'feedbackQueue', 'deadLetterQueue'),
    grant('sqs:SendMessage', 'feedbackQueue'),
    FIND,
    grant('s3:ListBucketVersions', 'bucket'),
    grant('s3:GetObject', 'bucket/adapters/*', 'bucket/basis/*'),
    grant('s3:DeleteObjectVersion', 'bucket/adapters/*'),
    grant('dynamodb:Query', 'table', 'table/index/by-cell'),
    grant('dynamodb:BatchWriteItem', 'table'),
  ],
  uplift: [grant('dynamodb:Query', 'table/index/by-cell')],
};

/** Commands that make no calls to a deployment. */
export const WITHOUT_CALLS = ['local', 'policy', 'cost', 'deploy'] as const;

import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { Deployment } from '../../shared/client/deployment.ts';
import type { OUTPUT } from '../../shared/config/names.ts';
import type { LearningSettings } from '../../shared/config/settings.ts';

/** The clock of the checks; tests replace it. */
export interface Pace {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

/** The input of a check. */
export interface DoctorServices {
  readonly deployment: Deployment;
  readonly lambda: LambdaClient;
  readonly settings: LearningSettings;
  readonly output: (name: (typeof OUTPUT)[keyof typeof OUTPUT]) => Promise<string>;
  readonly pace: Pace;
}

/** The result of a check. */
export interface Finding {
  readonly status: 'ok' | 'warning' | 'failed';
  readonly found: string;
  /** What to do about it; absent when the check passed. */
  readonly advice?: string;
}

export interface CheckResult extends Finding {
  readonly check: string;
}

export const ok = (found: string): Finding => ({ status: 'ok', found });
export const warning = (found: string, advice: string): Finding => ({ status: 'warning', found, advice });
export const failed = (found: string, advice: string): Finding => ({ status: 'failed', found, advice });

/** Runs a check. An exception is a finding, too. */
export async function run(check: string, find: () => Promise<Finding>): Promise<CheckResult> {
  try {
    return { check, ...(await find()) };
  } catch (error) {
    return { check, ...findingOf(error) };
  }
}

function findingOf(error: unknown): Finding {
  const names = namesOf(error);
  const found = error instanceof Error ? error.message || error.name : String(error);
  const matches = (pattern: RegExp) => pattern.test(`${names} ${found}`);
  if (matches(/AccessDenied|not authorized/))
    return failed(found, 'grant the permission: attune policy doctor prints all that this command needs');
  if (matches(/CredentialsProvider/)) return failed(found, NO_CREDENTIALS);
  if (matches(/ExpiredToken|UnrecognizedClient|InvalidClientTokenId|SignatureDoesNotMatch/))
    return failed(
      found,
      'AWS does not accept these credentials: sign in again (aws sso login), or name others (AWS_PROFILE)',
    );
  if (matches(/ResourceNotFound|QueueDoesNotExist|NonExistentQueue|NoSuchBucket/))
    return failed(
      found,
      'deploy the stack in this account and region, or pass the outputs file of the right stack',
    );
  return failed(
    found,
    'run the check again; if it fails again, check the network and the AWS health dashboard',
  );
}

export const NO_CREDENTIALS = 'sign in (aws sso login or aws configure), or name a profile (AWS_PROFILE)';

function namesOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return `${error.name} ${namesOf(error.cause)}`;
}

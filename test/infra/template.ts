import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { synthesize } from '../../infra/synth.ts';

/**
 * The stack's template with these settings, without function bundles. Rules are checked once,
 * elsewhere.
 */
export function synthesizedTemplate(settings: Readonly<Record<string, unknown>> = {}): Template {
  const outdir = mkdtempSync(join(tmpdir(), 'attune-template-'));
  try {
    const assembly = synthesize({ settings, outdir, bundle: false, check: false });
    const stack = assembly.stacks[0];
    if (stack === undefined) throw new Error('the assembly has no stack');
    return Template.fromJSON(stack.template);
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

/** The warnings of the synthesis with these settings. */
export function warningsOf(settings: Readonly<Record<string, unknown>>): string[] {
  const outdir = mkdtempSync(join(tmpdir(), 'attune-warnings-'));
  try {
    const stack = synthesize({ settings, outdir, bundle: false, check: false }).stacks[0]!;
    return stack.messages.filter(({ level }) => level === 'warning').map(({ entry }) => String(entry.data));
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

export interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

/** The statements of all IAM policies with this logical id prefix. */
export function policyStatements(template: Template, logicalIdPrefix = ''): Statement[] {
  return Object.entries(template.findResources('AWS::IAM::Policy'))
    .filter(([logicalId]) => logicalId.startsWith(logicalIdPrefix))
    .flatMap(([, policy]): Statement[] => policy.Properties.PolicyDocument.Statement);
}

export function list<T>(oneOrMany: T | T[]): T[] {
  return Array.isArray(oneOrMany) ? oneOrMany : [oneOrMany];
}

/**
 * A resource of a statement as text, such as `Bucket/adapters/*`, without CDK's hash in logical
 * ids.
 */
function shownResource(resource: unknown): string {
  if (typeof resource === 'string') return resource;
  const intrinsic = resource as { 'Fn::GetAtt'?: [string, string]; 'Fn::Join'?: [string, unknown[]] };
  if (intrinsic['Fn::GetAtt']) return intrinsic['Fn::GetAtt'][0].replace(/[0-9A-F]{8}$/, '');
  if (intrinsic['Fn::Join'])
    return intrinsic['Fn::Join'][1].map(shownResource).join(intrinsic['Fn::Join'][0]);
  return JSON.stringify(resource);
}

/** The permissions of a policy as sorted lines `action resource`. */
export function allowances(statements: readonly Statement[]): string[] {
  return statements
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(({ Action, Resource }) =>
      list(Action).flatMap((action) =>
        list(Resource).map((resource) => `${action} ${shownResource(resource)}`),
      ),
    )
    .sort();
}

import { z } from 'zod';
import { parseConfiguration } from '../../../shared/validation/faults.ts';

/** A call of an AWS API, as policies evaluate it. */
export interface ApiCall {
  /** Name of a role or user, or a service such as `lambda.amazonaws.com`. */
  readonly principal: string;
  /** Such as `s3:GetObject`. */
  readonly action: string;
  /** ARN, or `*` for an action without resources. */
  readonly resource: string;
  /** Values of condition keys; a missing key is absent from the request. */
  readonly context?: Readonly<Record<string, string>>;
}

const oneOrMore = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === 'string' ? [value] : value));
const value = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const values = z.union([value.transform((single) => [single]), z.array(value)]);
const anyone = z.literal('*').transform(() => ['*']);

const OPERATORS = {
  StringEquals: (found: string, expected: string) => found === expected,
  StringLike: (found: string, expected: string) => wildcard(expected).test(found),
  ArnLike: (found: string, expected: string) => wildcard(expected).test(found),
  Bool: (found: string, expected: string) => found === expected,
  NumericLessThan: (found: string, expected: string) => Number(found) < Number(expected),
} as const;

const condition = z.partialRecord(
  z.enum(['Null', ...(Object.keys(OPERATORS) as (keyof typeof OPERATORS)[])]),
  z.record(z.string(), values),
);

const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMore,
  /** A trust policy has none. */
  Resource: oneOrMore.default(['*']),
  /** Only policies of resources have one. */
  Principal: z
    .union([
      anyone,
      z.strictObject({ AWS: anyone }).transform(({ AWS }) => AWS),
      z.strictObject({ Service: oneOrMore }).transform(({ Service }) => Service),
    ])
    .default(['*']),
  Condition: condition.default({}),
});

const documentSchema = z.strictObject({
  Version: z.literal('2012-10-17'),
  Statement: z.union([z.array(statementSchema), statementSchema.transform((only) => [only])]),
});

export type Statement = z.output<typeof statementSchema>;

/**
 * The statements of a policy document with resolved references.
 * @param at the resource of the policy, for error messages
 * @throws InvalidConfigurationError for an element, operator or principal that the local stack does
 * not evaluate, so that it never permits what AWS would deny
 */
export function parsePolicy(document: unknown, at: string): readonly Statement[] {
  const source = `${at}: found a policy that the local stack cannot evaluate`;
  return parseConfiguration(documentSchema, document, { source }).Statement;
}

/**
 * The decision of statements on a call: a denial wins, and a call without an allowing statement is
 * denied.
 */
export function decide(
  statements: readonly Statement[],
  call: ApiCall,
): 'allowed' | 'denied' | 'not-allowed' {
  const matching = statements.filter((statement) => applies(statement, call));
  if (matching.some(({ Effect }) => Effect === 'Deny')) return 'denied';
  return matching.length > 0 ? 'allowed' : 'not-allowed';
}

function applies(statement: Statement, { principal, action, resource, context = {} }: ApiCall): boolean {
  return (
    statement.Principal.some((name) => name === '*' || name === principal) &&
    statement.Action.some((pattern) => wildcard(pattern, 'i').test(action)) &&
    statement.Resource.some((pattern) => wildcard(pattern).test(resource)) &&
    Object.entries(statement.Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, expected]) => {
        const found = context[key];
        if (operator === 'Null') return expected.includes(String(found === undefined));
        const test = OPERATORS[operator as keyof typeof OPERATORS];
        return found !== undefined && expected.some((each) => test(found, each));
      }),
    )
  );
}

const wildcards = new Map<string, RegExp>();

/** A pattern of IAM: `*` stands for any characters, `?` for one. */
function wildcard(pattern: string, flags = ''): RegExp {
  const known = wildcards.get(flags + pattern);
  if (known !== undefined) return known;
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  const expression = new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, `s${flags}`);
  wildcards.set(flags + pattern, expression);
  return expression;
}

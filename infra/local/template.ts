import { InvalidConfigurationError, shown } from '../../shared/errors.ts';
import { ACCOUNT_ID, REGION } from './environment.ts';

/** One resource of a CloudFormation template. */
export interface TemplateResource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly DependsOn?: string | readonly string[];
  readonly Condition?: string;
}

/** The parts of a CloudFormation template that the local stack reads. */
export interface Template {
  readonly Resources: Readonly<Record<string, TemplateResource>>;
  readonly Outputs?: Readonly<Record<string, { readonly Value: unknown }>>;
  readonly Parameters?: Readonly<Record<string, { readonly Default?: unknown }>>;
}

/** The values of `Ref` and `Fn::GetAtt`; undefined for an unknown resource or attribute. */
export interface Scope {
  ref(logicalId: string): string | undefined;
  attribute(logicalId: string, name: string): string | undefined;
}

/** Values of the pseudo parameters for a stack of this name. */
export function pseudoParameters(stackName: string): Readonly<Record<string, string>> {
  return {
    'AWS::Region': REGION,
    'AWS::AccountId': ACCOUNT_ID,
    'AWS::Partition': 'aws',
    'AWS::URLSuffix': 'amazonaws.com',
    'AWS::StackName': stackName,
    'AWS::StackId': `arn:aws:cloudformation:${REGION}:${ACCOUNT_ID}:stack/${stackName}/local`,
  };
}

/**
 * Replaces `Ref`, `Fn::GetAtt`, `Fn::Join` and `Fn::Sub` with their values, at any depth. Removes
 * properties and list entries whose value is `AWS::NoValue`.
 *
 * @param at logical id or output that contains the value, for error messages
 * @throws InvalidConfigurationError naming `at` for other intrinsic functions and for unknown
 *   references
 */
export function resolveIntrinsics(value: unknown, scope: Scope, at: string): unknown {
  if (Array.isArray(value)) {
    return value.filter((entry) => !isNoValue(entry)).map((entry) => resolveIntrinsics(entry, scope, at));
  }
  if (!isObject(value)) return value;
  const intrinsic = intrinsicOf(value);
  if (intrinsic === undefined) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, entry]) => !isNoValue(entry))
        .map(([key, entry]) => [key, resolveIntrinsics(entry, scope, at)]),
    );
  }
  const [name, argument] = intrinsic;
  if (name === 'Ref' && typeof argument === 'string') return refOf(argument, scope, at);
  if (name === 'Fn::GetAtt') return attributeOf(argument, scope, at);
  if (name === 'Fn::Join') return joined(argument, scope, at);
  if (name === 'Fn::Sub') return substituted(argument, scope, at);
  throw new InvalidConfigurationError(
    `${at}: found ${name} of ${shown(argument)}, expected Ref, Fn::GetAtt, Fn::Join or Fn::Sub`,
  );
}

/**
 * Logical ids in the order of creation: each resource follows the resources that it refers to or
 * depends on.
 * @throws InvalidConfigurationError for a circular reference
 */
export function creationOrder(template: Template): string[] {
  const order: string[] = [];
  const state = new Map<string, 'visiting' | 'done'>();
  const visit = (logicalId: string, path: readonly string[]): void => {
    const resource = template.Resources[logicalId];
    if (resource === undefined || state.get(logicalId) === 'done') return;
    if (state.get(logicalId) === 'visiting') {
      throw new InvalidConfigurationError(
        `${logicalId}: found a circular reference (${[...path, logicalId].join(' → ')}), expected none`,
      );
    }
    state.set(logicalId, 'visiting');
    for (const reference of referencesOf(resource)) visit(reference, [...path, logicalId]);
    state.set(logicalId, 'done');
    order.push(logicalId);
  };
  for (const logicalId of Object.keys(template.Resources)) visit(logicalId, []);
  return order;
}

function referencesOf(resource: TemplateResource): Set<string> {
  const found = new Set<string>();
  for (const id of typeof resource.DependsOn === 'string'
    ? [resource.DependsOn]
    : (resource.DependsOn ?? [])) {
    found.add(id);
  }
  collectReferences(resource.Properties, found);
  return found;
}

function collectReferences(value: unknown, found: Set<string>): void {
  if (Array.isArray(value)) {
    for (const entry of value) collectReferences(entry, found);
    return;
  }
  if (!isObject(value)) return;
  const [name, argument] = intrinsicOf(value) ?? [];
  if (name === 'Ref' && typeof argument === 'string') found.add(argument);
  if (name === 'Fn::GetAtt') {
    const target = Array.isArray(argument) ? argument[0] : String(argument).split('.')[0];
    if (typeof target === 'string') found.add(target);
  }
  if (name === 'Fn::Sub') {
    const text = Array.isArray(argument) ? argument[0] : argument;
    for (const [, reference = ''] of String(text).matchAll(SUBSTITUTION))
      found.add(reference.split('.')[0] ?? '');
  }
  for (const entry of Object.values(value)) collectReferences(entry, found);
}

const SUBSTITUTION = /\$\{(?!!)([^}]+)\}/g;

function refOf(logicalId: string, scope: Scope, at: string): string {
  const value = scope.ref(logicalId);
  if (value === undefined) {
    throw new InvalidConfigurationError(`${at}: found Ref to ${logicalId}, expected a resource or parameter`);
  }
  return value;
}

function attributeOf(argument: unknown, scope: Scope, at: string): string {
  const [logicalId, ...path] = Array.isArray(argument) ? argument.map(String) : String(argument).split('.');
  const name = path.join('.');
  const value = scope.attribute(logicalId ?? '', name);
  if (value === undefined) {
    throw new InvalidConfigurationError(
      `${at}: found Fn::GetAtt ${logicalId}.${name}, expected an attribute that the local stack supports`,
    );
  }
  return value;
}

function joined(argument: unknown, scope: Scope, at: string): string {
  const [delimiter, parts]: unknown[] = Array.isArray(argument) ? argument : [];
  if (typeof delimiter !== 'string' || !Array.isArray(parts)) {
    throw new InvalidConfigurationError(
      `${at}: found Fn::Join of ${shown(argument)}, expected [delimiter, [parts]]`,
    );
  }
  return (resolveIntrinsics(parts, scope, at) as unknown[]).join(delimiter);
}

function substituted(argument: unknown, scope: Scope, at: string): string {
  const [text, variables]: unknown[] = Array.isArray(argument) ? argument : [argument, {}];
  if (typeof text !== 'string' || !isObject(variables)) {
    throw new InvalidConfigurationError(`${at}: found Fn::Sub of ${shown(argument)}, expected a string`);
  }
  return text
    .replace(SUBSTITUTION, (_, reference: string) => {
      if (reference in variables) return String(resolveIntrinsics(variables[reference], scope, at));
      return reference.includes('.') ? attributeOf(reference, scope, at) : refOf(reference, scope, at);
    })
    .replaceAll('${!', '${');
}

function intrinsicOf(value: Readonly<Record<string, unknown>>): [string, unknown] | undefined {
  const entries = Object.entries(value);
  const [name, argument] = entries[0] ?? [''];
  return entries.length === 1 && (name === 'Ref' || name.startsWith('Fn::')) ? [name, argument] : undefined;
}

function isNoValue(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 1 && value.Ref === 'AWS::NoValue';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

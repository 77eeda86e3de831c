/** The part of JSON Schema that the contract uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly [keyword: string]: unknown;
}

/** Clients send requests and events, and read answers. */
export type Role = 'sent' | 'read';

const LOWER = ['minimum', 'minLength', 'minItems', 'minProperties'] as const;
const UPPER = ['maximum', 'maxLength', 'maxItems'] as const;
const FIXED = ['$ref', 'const', 'default', 'pattern', 'format', 'contentEncoding'] as const;

/**
 * Changes of `now` that break clients written against `was`: one line each, which names the field.
 */
export function breakingChanges(path: string, was: Schema, now: Schema | undefined, role: Role): string[] {
  if (now === undefined) return [`${path}: removed`];
  return [
    ...FIXED.filter((keyword) => JSON.stringify(was[keyword]) !== JSON.stringify(now[keyword])).map(
      (keyword) => `${path}: ${keyword} changed from ${shown(was[keyword])} to ${shown(now[keyword])}`,
    ),
    ...typeChanges(path, was, now, role),
    ...limitChanges(path, was, now, role),
    ...requiredChanges(path, was, now, role),
    ...Object.entries(was.properties ?? {}).flatMap(([name, schema]) =>
      breakingChanges(`${path}.${name}`, schema, now.properties?.[name], role),
    ),
    ...(was.items === undefined ? [] : breakingChanges(`${path}[]`, was.items, now.items, role)),
    ...(['anyOf', 'oneOf'] as const).flatMap((keyword) =>
      (was[keyword] ?? []).flatMap((form, i) =>
        breakingChanges(`${path} (form ${i + 1})`, form, now[keyword]?.[i], role),
      ),
    ),
  ];
}

function typeChanges(path: string, was: Schema, now: Schema, role: Role): string[] {
  const [before, after] = [typesOf(was), typesOf(now)];
  // Sent values must still be accepted; read values must not be new. An integer is a number.
  const [all, of] = role === 'sent' ? [before, after] : [after, before];
  const fits = all.every((type) => of.includes(type) || (type === 'integer' && of.includes('number')));
  const changed = fits ? [] : [`${path}: type changed from ${before.join(', ')} to ${after.join(', ')}`];
  const missing = (was.enum ?? []).filter((value) => !(now.enum ?? []).includes(value));
  // Values in answers may be added or removed, because clients must accept any.
  if (role === 'read' || now.enum === undefined || missing.length === 0) return changed;
  return [...changed, `${path}: no longer takes ${missing.map(shown).join(', ')}`];
}

function limitChanges(path: string, was: Schema, now: Schema, role: Role): string[] {
  const numberOf = (schema: Schema, keyword: string, none: number) =>
    typeof schema[keyword] === 'number' ? schema[keyword] : none;
  const grew = (keyword: string, none: number) => numberOf(now, keyword, none) > numberOf(was, keyword, none);
  const shrank = (keyword: string, none: number) =>
    numberOf(now, keyword, none) < numberOf(was, keyword, none);
  const [tightened, loosened] = [
    [
      ...LOWER.filter((keyword) => grew(keyword, Number.NEGATIVE_INFINITY)),
      ...UPPER.filter((keyword) => shrank(keyword, Number.POSITIVE_INFINITY)),
    ],
    [
      ...LOWER.filter((keyword) => shrank(keyword, Number.NEGATIVE_INFINITY)),
      ...UPPER.filter((keyword) => grew(keyword, Number.POSITIVE_INFINITY)),
    ],
  ];
  return (role === 'sent' ? tightened : loosened).map(
    (keyword) => `${path}: ${keyword} changed from ${shown(was[keyword])} to ${shown(now[keyword])}`,
  );
}

function requiredChanges(path: string, was: Schema, now: Schema, role: Role): string[] {
  const [before = [], after = []] = [was.required, now.required];
  return role === 'sent'
    ? after.filter((name) => !before.includes(name)).map((name) => `${path}.${name}: became required`)
    : before
        .filter((name) => !after.includes(name) && now.properties?.[name] !== undefined)
        .map((name) => `${path}.${name}: is no longer always there`);
}

function typesOf({ type, const: only }: Schema): readonly string[] {
  if (type === undefined) return only === undefined ? ['anything'] : [typeof only];
  return typeof type === 'string' ? [type] : type;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contractFiles, contractSchemas } from '../../../docs/generate-contract.ts';
import { FILTER_FORM, parseFilter } from '../../../shared/catalogue/filter.ts';
import { eventJsonSchema, openApiDocument } from '../../../shared/contract/document.ts';
import { parsePersonalizeRequest } from '../../../shared/contract/personalize-request.ts';
import { parseFeedbackEvent } from '../../../shared/feedback/event.ts';
import { breakingChanges, type Role, type Schema } from './breaking-changes.ts';

const reference = join(import.meta.dirname, '..', '..', '..', 'docs', 'reference');
const RELEASED = join(import.meta.dirname, 'released');

function changesSince(before: Record<string, Schema>, now: Record<string, Schema>): string[] {
  return Object.entries(before).flatMap(([name, schema]) => {
    const role: Role = /Request$|Event$|^Filter$/.test(name) ? 'sent' : 'read';
    return breakingChanges(name, schema, now[name], role);
  });
}

/** Whether a value fits a schema; formats are notes. */
function validator(schema: object): (value: unknown) => boolean {
  return new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
}

describe('the contract', () => {
  test('in docs/reference is the output of `npm run docs`', async () => {
    for (const [name, content] of Object.entries(contractFiles()))
      expect(await readFile(join(reference, name), 'utf8'), name).toBe(content);
  });

  test('is valid OpenAPI for a linter, which finds broken references', async () => {
    const config = await createConfig({ extends: ['recommended-strict'] });
    const lint = async (source: string) =>
      (await lintFromString({ source, absoluteRef: 'openapi.json', config })).map(({ ruleId }) => ruleId);
    const document = JSON.stringify(openApiDocument());
    expect(await lint(document)).toEqual([]);
    const broken = document.replace('#/components/schemas/ScoreAnswer', '#/components/schemas/Nothing');
    expect(await lint(broken)).toContain('no-unresolved-refs');
  });

  test('does not break clients of any released version', async () => {
    const versions = await readdir(RELEASED);
    expect(versions).toContain('1.0.json');
    for (const version of versions) {
      const before = JSON.parse(await readFile(join(RELEASED, version), 'utf8'));
      expect(changesSince(before, contractSchemas() as Record<string, Schema>), version).toEqual([]);
    }
  });

  test('filters are documented as they are read', () => {
    const { components } = openApiDocument();
    const documented = validator({ $ref: '#/components/schemas/Filter', components });
    expect(components.schemas.Filter).toBe(FILTER_FORM);
    const name = fc.constantFrom('genre', 'year', '');
    const value = fc.constantFrom<unknown>('comedy', 1990, true, null);
    const { filter } = fc.letrec((tie) => ({
      filter: fc.oneof(
        { maxDepth: 3 },
        fc.record({ attribute: name, in: fc.array(value, { maxLength: 2 }) }),
        fc.record({ attribute: name, exists: value }),
        fc.record({ attribute: name, gte: value, lt: value }, { requiredKeys: ['attribute'] }),
        fc.record({ not: tie('filter'), extra: value }, { requiredKeys: ['not'] }),
        fc.record({ all: fc.array(tie('filter'), { maxLength: 2 }) }),
        fc.record({ any: fc.array(tie('filter'), { maxLength: 2 }) }),
      ),
    }));
    const reads = (input: unknown) => {
      try {
        return parseFilter(input) !== undefined;
      } catch {
        return false;
      }
    };
    let valid = 0;
    fc.assert(
      fc.property(filter, (input) => {
        if (reads(input)) valid++;
        expect(documented(input)).toBe(reads(input));
      }),
      { numRuns: 500, seed: 7 },
    );
    expect(valid).toBeGreaterThan(20);
  });

  test('events and requests are documented as they are read, wherever one field is left out or wrong', () => {
    const embedding = Array.from({ length: 16 }, () => 0.5);
    const settings = { embeddingDim: 16, embeddingModel: 'm' };
    const event = {
      schemaVersion: 1,
      eventId: 'e',
      userId: 'ada',
      occurredAt: '2026-01-31T12:00:00Z',
      embeddingModel: 'm',
      interactions: [{ itemId: 'film-7', embedding, reward: 0.9 }],
    };
    const request = {
      userId: 'ada',
      candidates: [{ itemId: 'a', embedding }],
      answer: 'scores',
      explain: true,
    };
    const { components } = openApiDocument();
    const cases = [
      [event, eventJsonSchema(), (input: unknown) => parseFeedbackEvent(JSON.stringify(input), settings)],
      [
        request,
        components.schemas.PersonalizeRequest,
        (input: unknown) => parsePersonalizeRequest(input, settings),
      ],
    ] as const;
    for (const [valid, schema, read] of cases) {
      const documented = validator(schema ?? {});
      expect(documented(valid)).toBe(true);
      read(valid);
      for (const name of Object.keys(valid)) {
        for (const wrong of [undefined, '', 7, [], {}, null, 'x'.repeat(129)]) {
          if (name === 'embeddingModel' && typeof wrong === 'string') continue;
          const input = JSON.parse(JSON.stringify({ ...valid, [name]: wrong }));
          let isRead = true;
          try {
            read(input);
          } catch {
            isRead = false;
          }
          expect(documented(input), `${name}: ${JSON.stringify(wrong)}`).toBe(isRead);
        }
      }
    }
  });
});

describe('a change of the contract that breaks clients is named', () => {
  const sent: Schema = {
    type: 'object',
    properties: {
      userId: { type: 'string', maxLength: 128 },
      limit: { type: 'integer', maximum: 500, default: 20 },
      kind: { enum: ['a', 'b'] },
      diversity: { type: 'number' },
    },
    required: ['userId'],
  };
  const read: Schema = {
    type: 'object',
    properties: { items: { type: 'array', items: { $ref: '#/x/Item' } }, score: { type: 'number' } },
    required: ['items', 'score'],
  };
  const edit = (schema: Schema, change: (copy: never) => void) => {
    const copy = structuredClone(schema);
    change(copy as never);
    return copy;
  };

  // biome-ignore lint/suspicious/noExplicitAny: the tests edit schemas freely
  const cases: [string, Schema, Role, (copy: any) => void, string][] = [
    [
      'a field renamed',
      sent,
      'sent',
      (s) => {
        s.properties.user = s.properties.userId;
        delete s.properties.userId;
        s.required = [];
      },
      'R.userId: removed',
    ],
    [
      'a type narrowed',
      sent,
      'sent',
      (s) => {
        s.properties.diversity.type = 'integer';
      },
      'R.diversity: type changed from number to integer',
    ],
    [
      'a limit lowered',
      sent,
      'sent',
      (s) => {
        s.properties.limit.maximum = 100;
      },
      'R.limit: maximum changed from 500 to 100',
    ],
    [
      'a default changed',
      sent,
      'sent',
      (s) => {
        s.properties.limit.default = 10;
      },
      'R.limit: default changed from 20 to 10',
    ],
    [
      'a value no longer taken',
      sent,
      'sent',
      (s) => {
        s.properties.kind.enum = ['a'];
      },
      'R.kind: no longer takes "b"',
    ],
    [
      'a field that became required',
      sent,
      'sent',
      (s) => {
        s.required.push('limit');
      },
      'R.limit: became required',
    ],
    [
      'an answer without a field',
      read,
      'read',
      (s) => {
        delete s.properties.score;
      },
      'R.score: removed',
    ],
    [
      'an answer where a field may be missing',
      read,
      'read',
      (s) => {
        s.required = ['items'];
      },
      'R.score: is no longer always there',
    ],
    [
      'an answer of a wider type',
      read,
      'read',
      (s) => {
        s.properties.score.type = ['number', 'null'];
      },
      'R.score: type changed from number to number, null',
    ],
    [
      'an answer whose items are others',
      read,
      'read',
      (s) => {
        s.properties.items.items.$ref = '#/x/Other';
      },
      'R.items[]: $ref changed from "#/x/Item" to "#/x/Other"',
    ],
  ];
  test.each(cases)('%s', (_, schema, role, change, expected) => {
    expect(breakingChanges('R', schema, edit(schema, change), role)).toEqual([expected]);
  });

  test('an addition of a minor version is not named', () => {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const more = edit(sent, (s: any) => {
      s.properties.explore = { type: 'boolean', default: false };
      s.properties.limit.maximum = 1_000;
      s.properties.kind.enum.push('c');
    });
    expect(breakingChanges('R', sent, more, 'sent')).toEqual([]);
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const answer = edit(read, (s: any) => {
      s.properties.propensity = { type: 'number' };
      s.required.push('propensity');
    });
    expect(breakingChanges('R', read, answer, 'read')).toEqual([]);
  });
});

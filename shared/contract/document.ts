import * as z from 'zod';
import { FILTER_FORM } from '../catalogue/filter.ts';
import { eventSchema } from '../feedback/event-schema.ts';
import {
  embedAnswer,
  errorAnswer,
  failureAnswer,
  recommendAnswer,
  scoreAnswer,
  searchAnswer,
  similarAnswer,
} from './answers.ts';
import { recommendRequest, searchRequest, similarRequest } from './catalogue-request.ts';
import { personalizeRequest } from './personalize-request.ts';

/**
 * Version of the contract with clients; see docs/reference/contract.md. The second number rises
 * with additions, the first with changes that break a client.
 */
export const CONTRACT_VERSION = '1.0.0';

type JsonSchema = z.core.JSONSchema.BaseSchema;

const JSON_MODE = { io: 'input', unrepresentable: 'any' } as const;

/** JSON Schema of a feedback event in the queue. */
export function eventJsonSchema(): JsonSchema {
  return { title: 'FeedbackEvent', version: CONTRACT_VERSION, ...z.toJSONSchema(eventSchema, JSON_MODE) };
}

/**
 * OpenAPI 3.1 of the read function's URL. Invoke takes the same requests and gives the same
 * answers.
 */
export function openApiDocument() {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Attune',
      version: CONTRACT_VERSION,
      summary: 'Scores, embeddings and recommendations for a user.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      {
        url: 'https://{urlId}.lambda-url.{region}.on.aws',
        description: 'The stack output PersonalizeUrl.',
        variables: { urlId: { default: 'url-id' }, region: { default: 'eu-central-1' } },
      },
    ],
    security: [{ sigV4: [] }],
    paths: { '/': { post: operation() } },
    components: {
      securitySchemes: {
        sigV4: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: 'AWS Signature Version 4 for the service `lambda`.',
        },
      },
      schemas: schemas(),
    },
  };
}

function operation() {
  const requests = [personalizeRequest, recommendRequest, similarRequest, searchRequest];
  const answers = [scoreAnswer, embedAnswer, recommendAnswer, similarAnswer, searchAnswer];
  return {
    operationId: 'ask',
    summary: 'Ask for scores, embeddings or recommendations.',
    description:
      'Without `action`, scores or personalises the candidates of the request; with it, searches the whole catalogue. ' +
      'The request determines the kind of answer.',
    requestBody: { required: true, content: json(anyOf(requests)) },
    responses: {
      200: { description: 'The answer.', content: json(anyOf(answers)) },
      400: { description: 'The request is invalid; the error says why.', content: json(ref(errorAnswer)) },
      403: { description: 'The signature is missing, or the caller has no permission.' },
      500: { description: 'The function failed.', content: json(ref(failureAnswer)) },
      503: { description: 'Try again later.', content: json(ref(failureAnswer)) },
    },
  };
}

const json = (schema: object) => ({ 'application/json': { schema } });
const anyOf = (all: readonly z.ZodType[]) => ({ anyOf: all.map(ref) });
const ref = (schema: z.ZodType) => ({ $ref: uri(z.globalRegistry.get(schema)?.id ?? '') });
const uri = (id: string) => `#/components/schemas/${id}`;

/** Every schema with an id, and the filter, which has no Zod schema. */
function schemas(): Record<string, JsonSchema> {
  const { schemas: named } = z.toJSONSchema(z.globalRegistry, { ...JSON_MODE, uri });
  const all = Object.entries(named).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]);
  return { ...Object.fromEntries(all), Filter: FILTER_FORM };
}

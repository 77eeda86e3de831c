import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONTRACT_VERSION, eventJsonSchema, openApiDocument } from '../shared/contract/document.ts';

/** The files of docs/reference that `npm run docs` writes from the schemas. */
export function contractFiles(): Record<string, string> {
  const text = (document: object) => `${JSON.stringify(document, null, 2)}\n`;
  return {
    'feedback-event.schema.json': text(eventJsonSchema()),
    'openapi.json': text(openApiDocument()),
  };
}

/**
 * Every schema of the contract by its name, without the texts: what later versions are compared
 * with.
 */
export function contractSchemas(): Record<string, object> {
  const all = { ...openApiDocument().components.schemas, FeedbackEvent: eventJsonSchema() };
  return JSON.parse(
    JSON.stringify(all, (key, value) =>
      key === 'description' && typeof value === 'string' ? undefined : value,
    ),
  );
}

if (import.meta.main) {
  for (const [name, content] of Object.entries(contractFiles()))
    writeFileSync(join(import.meta.dirname, 'reference', name), content);
  // A release of the contract: from then on no version may break its clients.
  if (process.argv.includes('--release')) {
    const released = join(import.meta.dirname, '..', 'test', 'shared', 'contract', 'released');
    const [version] = /^\d+\.\d+/.exec(CONTRACT_VERSION)!;
    writeFileSync(join(released, `${version}.json`), `${JSON.stringify(contractSchemas())}\n`);
  }
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventJsonSchema, openApiDocument } from '../shared/contract/document.ts';

/** The files of docs/reference that `npm run docs` writes from the schemas. */
export function contractFiles(): Record<string, string> {
  const text = (document: object) => `${JSON.stringify(document, null, 2)}\n`;
  return {
    'feedback-event.schema.json': text(eventJsonSchema()),
    'openapi.json': text(openApiDocument()),
  };
}

if (import.meta.main) {
  for (const [name, content] of Object.entries(contractFiles()))
    writeFileSync(join(import.meta.dirname, 'reference', name), content);
}

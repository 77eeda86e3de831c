import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SETTING_HELP } from '../../shared/config/setting-help.ts';
import { settingsFromContext } from '../../shared/config/settings.ts';

test('docs/operations.md has a table of all settings with their defaults', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operations.md'), 'utf8');
  const table = page.slice(
    page.indexOf('## Settings\n'),
    page.indexOf('\n## ', page.indexOf('## Settings\n') + 1),
  );
  const defaults: Record<string, unknown> = settingsFromContext({});
  const rows = Object.entries(SETTING_HELP).map(
    ([name, help]) =>
      `| \`${name}\` | ${help} | ${defaults[name] === undefined ? 'none' : `\`${defaults[name]}\``} |`,
  );
  expect(table.split('\n').filter((line) => line.startsWith('| `'))).toEqual(rows);
});

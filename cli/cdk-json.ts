import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DeploymentSettings, settingsFromContext } from '../shared/config/settings.ts';
import { InvalidConfigurationError, NotFoundError, shown } from '../shared/errors.ts';
import { utf8 } from '../shared/utf8.ts';
import { IS_CLONE, PROJECT } from './project.ts';
import type { GivenSettings } from './setting-options.ts';

/** The file of the settings. All commands of Attune and of the CDK read it. */
const CDK_JSON = join(PROJECT, 'cdk.json');

/** Without the file, the installed package starts with its own app and default settings. */
const NEW_CDK_JSON = { app: 'node node_modules/attune/dist/infra/app.js', context: { attune: {} } };

/**
 * The settings that the local stack shares with the deployed one.
 * @param overrides settings that replace those of cdk.json
 * @throws NotFoundError outside of a clone; InvalidConfigurationError naming what is wrong
 */
export function readSettings(overrides: GivenSettings = {}): DeploymentSettings {
  return settingsFromContext({ ...attuneOf(readText()), ...overrides });
}

/**
 * Writes settings to cdk.json. An empty value removes a setting, so that its default applies.
 * @throws NotFoundError outside of a clone; InvalidConfigurationError naming what is wrong, and
 * nothing is written
 */
export function writeSettings(given: GivenSettings): DeploymentSettings {
  const text = edited(readText(), given);
  try {
    writeFileSync(`${CDK_JSON}.new`, text);
    renameSync(`${CDK_JSON}.new`, CDK_JSON);
  } catch (cause) {
    throw new InvalidConfigurationError(`${CDK_JSON}: found no writable file`, { cause });
  }
  return settingsFromContext(attuneOf(text));
}

/** The text of cdk.json with other settings and no other changes. */
export function edited(text: string, given: GivenSettings): string {
  const before = attuneOf(text);
  const after: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(given)) {
    if (value === '') delete after[name];
    else after[name] = value;
  }
  const checked: Record<string, unknown> = settingsFromContext(after);
  // Numbers and booleans as JSON values, because the command line gives text.
  for (const [name, value] of Object.entries(given)) if (value !== '') after[name] = checked[name];
  const [start, end] = placeOf(text, before);
  const indented = JSON.stringify(after, null, 2).replaceAll('\n', '\n    ');
  return `${text.slice(0, start)}${indented}${text.slice(end)}`;
}

function attuneOf(text: string): Record<string, unknown> {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new InvalidConfigurationError(`${CDK_JSON}: found ${shown(text)}, expected JSON`, { cause });
  }
  const attune: unknown = Object(Object(file).context).attune;
  if (typeof attune === 'object' && attune !== null && !Array.isArray(attune))
    return attune as Record<string, unknown>;
  throw new InvalidConfigurationError(
    `${CDK_JSON}, context.attune: found ${shown(attune)}, expected an object of settings`,
  );
}

/** The position of the settings object in the text, from its opening to its closing brace. */
function placeOf(text: string, settings: object): [number, number] {
  const wanted = JSON.stringify(settings);
  for (const { index } of text.matchAll(/"attune"\s*:\s*\{/g)) {
    const start = text.indexOf('{', index);
    for (let end = text.indexOf('}', start); end >= 0; end = text.indexOf('}', end + 1)) {
      try {
        if (JSON.stringify(JSON.parse(text.slice(start, end + 1))) === wanted) return [start, end + 1];
      } catch {
        // A brace within a string; the object continues.
      }
    }
  }
  throw new InvalidConfigurationError(`${CDK_JSON}: found "attune" written with escapes, expected it plain`);
}

function readText(): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(CDK_JSON);
  } catch (cause) {
    if (!IS_CLONE) return `${JSON.stringify(NEW_CDK_JSON, null, 2)}\n`;
    throw new NotFoundError(`${CDK_JSON}: found no such file, expected that of the repository`, { cause });
  }
  const text = utf8(bytes);
  if (text !== undefined) return text;
  throw new InvalidConfigurationError(`${CDK_JSON}: found bytes that are not UTF-8, expected UTF-8`);
}

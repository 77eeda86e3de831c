import type { Command } from 'commander';
import { SETTING_HELP } from '../shared/config/setting-help.ts';
import { type DeploymentSettings, settingsFromContext } from '../shared/config/settings.ts';
import { readSettings, writeSettings } from './cdk-json.ts';
import { printJson, printLine } from './output.ts';
import { settingsAmong, withSettings } from './setting-options.ts';

type SettingName = keyof DeploymentSettings;

/** `attune init`: writes the settings of cdk.json, which all commands share. */
export function initCommand(command: Command): Command {
  command
    .option('--json', 'print the settings as one line of JSON')
    .addHelpText('after', '\nAn empty value resets a setting to its default.')
    .action(init);
  return withSettings(command);
}

function init(options: { readonly json?: boolean }): void {
  const given = settingsAmong(options);
  const names = Object.keys(given) as readonly SettingName[];
  const before = readSettings();
  const settings = names.length === 0 ? before : writeSettings(given);
  if (options.json) printJson(settings);
  else if (names.length === 0) showAll(settings);
  else showChanged(names, before, settings);
}

function showAll(settings: DeploymentSettings): void {
  const defaults = settingsFromContext({});
  for (const name of Object.keys(SETTING_HELP) as SettingName[])
    show(name, settings, settings[name] === defaults[name] ? ' (default)' : '');
}

function showChanged(
  names: readonly SettingName[],
  before: DeploymentSettings,
  settings: DeploymentSettings,
): void {
  for (const name of names) {
    const same = before[name] === settings[name];
    show(name, settings, same ? ' (as before)' : ` (was ${before[name] ?? 'not set'})`);
  }
  printLine(
    'Written to cdk.json. It applies from the next start of the local stack, and the next npx cdk deploy.',
  );
}

function show(name: SettingName, settings: DeploymentSettings, remark: string): void {
  printLine(`${name} = ${settings[name] ?? 'not set'}${remark}`);
  printLine(`  ${SETTING_HELP[name]}`);
}

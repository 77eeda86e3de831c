import type { Command } from 'commander';
import { SETTING_HELP } from '../shared/config/setting-help.ts';
import type { DeploymentSettings } from '../shared/config/settings.ts';

type SettingName = keyof DeploymentSettings;

/** Settings as text, by name. They are validated when they are read. */
export type GivenSettings = Partial<Record<SettingName, string>>;

const NAMES = Object.keys(SETTING_HELP) as readonly SettingName[];

/** Adds an option for each setting of a deployment, such as `--embedding-dim`. */
export function withSettings(command: Command): Command {
  command.optionsGroup('Settings:');
  for (const name of NAMES) command.option(`${flagOf(name)} <value>`, SETTING_HELP[name]);
  return command;
}

/** The settings among the options of a command. */
export function settingsAmong(options: object): GivenSettings {
  const given = new Set(Object.keys(options));
  return Object.fromEntries(
    NAMES.filter((name) => given.has(name)).map((name) => [name, (options as GivenSettings)[name]]),
  );
}

function flagOf(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

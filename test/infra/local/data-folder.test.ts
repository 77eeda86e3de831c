import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lockDataFolder } from '../../../infra/local/data-folder.ts';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { temporaryFolder } from '../../support/assembly-fixture.ts';

it('locking creates a missing data folder, with a subfolder path for each service', () => {
  const path = join(temporaryFolder(), 'a', 'b');
  const folder = lockDataFolder(path);
  expect(existsSync(path)).toBe(true);
  expect([folder.pathOf('s3'), folder.pathOf('sqs')]).toEqual([join(path, 's3'), join(path, 'sqs')]);
  folder.release();
});

it('locking refuses a locked data folder and names the process that has it', () => {
  const path = temporaryFolder();
  const folder = lockDataFolder(path);
  expect(() => lockDataFolder(path)).toThrow(
    new InvalidConfigurationError(
      `data folder ${path}: found it locked by another local stack (process ${process.pid}), expected a free folder`,
    ),
  );
  folder.release();
  lockDataFolder(path).release();
});

it('the data folder of a killed stack is free even when another process has its process id', () => {
  const path = temporaryFolder();
  writeFileSync(join(path, 'pid'), `${process.ppid}\n`);
  lockDataFolder(path).release();
});

it('locking refuses a data folder that is not writable', () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  expect(() => lockDataFolder(join(file, 'folder'))).toThrow(
    /^data folder .*folder: found it not writable \(ENOTDIR/,
  );
  const blocked = temporaryFolder();
  mkdirSync(join(blocked, 'lock'));
  expect(() => lockDataFolder(blocked)).toThrow(/found it not writable \(EISDIR/);
});

it('locking reports an unusable lock file as such and not as a locked folder', () => {
  const path = temporaryFolder();
  writeFileSync(join(path, 'lock'), 'garbage '.repeat(1000));
  expect(() => lockDataFolder(path)).toThrow(InvalidConfigurationError);
  expect(() => lockDataFolder(path)).toThrow(
    `data folder ${path}: found the unusable lock file ${join(path, 'lock')} (file is not a database), expected the lock file of a local stack`,
  );
});

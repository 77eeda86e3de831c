import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { takeDataFolder } from '../../../infra/local/data-folder.ts';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { temporaryFolder } from '../../support/assembly-fixture.ts';

it('a data folder is made when there is none, and has a place for each service', () => {
  const path = join(temporaryFolder(), 'a', 'b');
  const folder = takeDataFolder(path);
  expect(existsSync(path)).toBe(true);
  expect([folder.of('s3'), folder.of('sqs')]).toEqual([join(path, 's3'), join(path, 'sqs')]);
  folder.release();
});

it('a data folder is for one stack at a time; the next is told which process has it', () => {
  const path = temporaryFolder();
  const folder = takeDataFolder(path);
  expect(() => takeDataFolder(path)).toThrow(
    new InvalidConfigurationError(
      `data folder ${path}: found it in use by another local stack (process ${process.pid}), expected a free one`,
    ),
  );
  folder.release();
  takeDataFolder(path).release();
});

it('a data folder that a killed stack left behind is free, whatever process has its number now', () => {
  const path = temporaryFolder();
  writeFileSync(join(path, 'pid'), `${process.ppid}\n`);
  takeDataFolder(path).release();
});

it('a data folder that cannot be written is refused', () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  expect(() => takeDataFolder(join(file, 'folder'))).toThrow(
    /^data folder .*folder: found it not writable \(ENOTDIR/,
  );
  const blocked = temporaryFolder();
  mkdirSync(join(blocked, 'lock'));
  expect(() => takeDataFolder(blocked)).toThrow(/found it not writable \(EISDIR/);
});

it('a data folder whose lock is no lock is refused for that, not as in use', () => {
  const path = temporaryFolder();
  writeFileSync(join(path, 'lock'), 'garbage '.repeat(1000));
  expect(() => takeDataFolder(path)).toThrow(InvalidConfigurationError);
  expect(() => takeDataFolder(path)).toThrow(
    `data folder ${path}: found that ${join(path, 'lock')} cannot be locked (file is not a database), expected the file of a local stack`,
  );
});

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

/**
 * A folder for what the test files of one run share: compiled code, so that every worker and every
 * command compiles no module again, and synthesized stacks.
 */
export default function setup(project: TestProject): () => Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-run-'));
  const assemblies = join(folder, 'assemblies');
  mkdirSync(assemblies);
  process.env.NODE_COMPILE_CACHE = join(folder, 'compiled');
  process.env.ATTUNE_TEST_ASSEMBLIES = assemblies;
  // While somebody edits, the bundles of the last run are out of date.
  project.onTestsRerun(async () => {
    rmSync(assemblies, { recursive: true });
    mkdirSync(assemblies);
  });
  // The last worker may still write what it compiled, and vitest must be able to end it meanwhile.
  return () => rm(folder, { recursive: true, force: true, maxRetries: 10 });
}

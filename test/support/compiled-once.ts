import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Workers and the commands that they start compile each module once for the whole run. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'attune-compiled-'));
  process.env.NODE_COMPILE_CACHE = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { exitCodeOf } from '../../cli/exit.ts';
import { printLine, printProblem } from '../../cli/output.ts';
import { exportPeft, importPeft } from '../../shared/adapters/peft.ts';
import { InvalidConfigurationError } from '../../shared/errors.ts';
import { batchForward, type LoraAdapter } from '../../shared/lora/forward.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { layOutTensors } from '../../shared/storage/safetensors.ts';

/**
 * `npm run check:peft`: Hugging Face PEFT computes the same with an exported adapter as Attune, and
 * Attune reads files that PEFT saves.
 */

/**
 * Largest difference between two outputs; embeddings and their changes have a length of about 1.
 */
const TOLERANCE = 1e-6;
const ITEMS = 50;

/** Output of compare.py for one adapter. */
interface Compared {
  readonly difference: number;
  readonly differenceMerged: number;
  /** Largest change by the adapter; without a change, the comparison would prove nothing. */
  readonly change: number;
  readonly versions: string;
}

interface Case {
  readonly name: string;
  readonly adapter: LoraAdapter;
  readonly xs: readonly Float32Array[];
  readonly ys: readonly Float32Array[];
}

const program = new Command('check:peft')
  .description('load exported adapters with Hugging Face PEFT and compare the outputs')
  .option('--python <command>', 'Python that can import torch and peft', 'python3')
  .exitOverride();

try {
  program.parse();
  check(program.opts<{ python: string }>().python);
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function check(python: string): void {
  const cases = [caseOf(64, 4, 1), caseOf(384, 4, 1), caseOf(16, 1, 0.3), caseOf(1536, 8, 2)];
  const folder = mkdtempSync(join(tmpdir(), 'attune-peft-'));
  try {
    const folders = cases.map((one, i) => write(one, join(folder, String(i))));
    const results = compare(python, folders);
    printLine(results[0]!.versions);
    const problems = cases.flatMap((one, i) => problemsOf(one, results[i]!, folders[i]!));
    for (const problem of problems) printProblem(problem);
    if (problems.length > 0) process.exitCode = 1;
    else
      printLine(
        `PEFT and Attune agree within ${short(TOLERANCE)} on ${cases.length} adapters, there and back.`,
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An adapter that changes embeddings of unit length by about their own length. */
function caseOf(d: number, rank: number, scale: number): Case {
  const name = `d = ${d}, rank ${rank}, scaling ${scale}`;
  const random = createRandom(name);
  const normals = (length: number, deviation: number) =>
    Float32Array.from({ length }, () => deviation * random.normal());
  const basis = { embeddingDim: d, rank, scale, a: normals(rank * d, 1) };
  const adapter = { basis, b: normals(d * rank, 1 / (scale * Math.sqrt(rank * d))), offset: 0.2 };
  const xs = Array.from({ length: ITEMS }, () => normals(d, 1 / Math.sqrt(d)));
  return { name, adapter, xs, ys: batchForward(adapter, xs) };
}

function write({ adapter, xs, ys }: Case, folder: string): string {
  const shape = [xs.length, xs[0]!.length];
  const flat = (rows: readonly Float32Array[]) => Float32Array.from(rows.flatMap((row) => [...row]));
  const tensors = { x: { shape, values: flat(xs) }, y: { shape, values: flat(ys) } };
  const files = {
    ...exportPeft(adapter),
    'outputs.safetensors': layOutTensors({ tensors, metadata: { format: 'pt' } }),
  };
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

/** @throws InvalidConfigurationError when Python fails */
function compare(python: string, folders: readonly string[]): Compared[] {
  const script = fileURLToPath(new URL('./compare.py', import.meta.url));
  try {
    const lines = execFileSync(python, [script, ...folders], { encoding: 'utf8', stdio: 'pipe' });
    return lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string };
    const reason = stderr?.trim().split('\n').at(-1) || message;
    throw new InvalidConfigurationError(
      `--python ${python}: ${reason}; expected a Python that can import torch and peft (pip install torch peft)`,
      { cause },
    );
  }
}

function short(value: number): string {
  return value.toExponential(1);
}

function problemsOf({ name, xs, ys }: Case, result: Compared, folder: string): string[] {
  const { difference, differenceMerged, change } = result;
  const read = (file: string) => readFileSync(join(folder, 'saved', file));
  const back = batchForward(
    importPeft({
      'adapter_model.safetensors': read('adapter_model.safetensors'),
      'adapter_config.json': read('adapter_config.json').toString(),
    }),
    xs,
  );
  const differenceBack = Math.max(
    ...ys.map((y, n) => y.reduce((most, value, i) => Math.max(most, Math.abs(value - back[n]![i]!)), 0)),
  );
  printLine(
    `${name}: outputs differ by at most ${short(difference)}, merged ${short(differenceMerged)}, read back ${short(differenceBack)}; the adapter changes them by up to ${short(change)}`,
  );
  const differences = {
    outputs: difference,
    'merged outputs': differenceMerged,
    'read back': differenceBack,
  };
  return [
    ...Object.entries(differences).flatMap(([what, value]) =>
      value <= TOLERANCE
        ? []
        : [`${name}, ${what}: found a difference of ${short(value)}, expected at most ${short(TOLERANCE)}`],
    ),
    ...(change > 0.01
      ? []
      : [`${name}: found a change of ${short(change)} by the adapter, expected more than 0.01`]),
  ];
}

// The package build starts from named files and would not find the declarations otherwise.
/// <reference path="./cli-progress.d.ts" />
import cliProgress, { type SingleBar } from 'cli-progress';

/** Progress of a long task on stderr, so that stdout holds only results. */
export interface Progress {
  /** @param total when it is known, and may still change */
  update(done: number, total?: number): void;
  stop(): void;
}

type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** Seconds between lines without a terminal. */
const LINE_EVERY_S = 5;

/**
 * A bar that redraws itself on a terminal, otherwise a line now and then.
 * @param label name of the task, such as `publishing`
 * @param unit unit of progress, such as `interactions`
 * @param now epoch milliseconds
 */
export function createProgress(
  label: string,
  unit: string,
  { stream = process.stderr, now = Date.now }: { stream?: ProgressStream; now?: () => number } = {},
): Progress {
  return stream.isTTY ? bar(label, unit, stream) : lines(label, unit, stream, now);
}

function bar(label: string, unit: string, stream: ProgressStream): Progress {
  const open = { format: `${label} {value} ${unit}`, stream, hideCursor: true, clearOnComplete: true };
  const format = `${label} {bar} {value}/{total} ${unit}, {eta_formatted} left`;
  let current: SingleBar | undefined;
  let known: number | undefined;
  return {
    update(done, total) {
      if (current === undefined || (total === undefined) !== (known === undefined)) {
        current?.stop();
        current = new cliProgress.SingleBar(total === undefined ? open : { ...open, format, barsize: 30 });
        current.start(total ?? 0, done);
      } else {
        if (total !== undefined && total !== known) current.setTotal(total);
        current.update(done);
      }
      known = total;
    },
    stop() {
      current?.stop();
      current = undefined;
    },
  };
}

function lines(label: string, unit: string, stream: ProgressStream, now: () => number): Progress {
  let last = now();
  return {
    update(done, total) {
      if (now() - last < LINE_EVERY_S * 1000) return;
      last = now();
      stream.write(`${label} ${done}${total === undefined ? '' : `/${total}`} ${unit}\n`);
    },
    stop() {},
  };
}

/** A result for a person. */
export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The result for a program: one line, the last on stdout. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Something that went wrong and that a person should see, on stderr. */
export function printProblem(text: string): void {
  process.stderr.write(`attune: ${text}\n`);
}

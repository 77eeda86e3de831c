import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createProgress } from '../../cli/output.ts';

/** A terminal or a file that records its output. */
function sink(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120 });
  return { stream, text: () => String(stream.read() ?? '') };
}

test('without a terminal, progress is a line every five seconds', () => {
  const { stream, text } = sink(false);
  let time = 0;
  const progress = createProgress('publishing', 'events', { stream, now: () => time });
  for (time = 0; time <= 11_000; time += 1000) progress.update(time / 1000, time > 8000 ? 50 : undefined);
  progress.stop();
  expect(text()).toBe('publishing 5 events\npublishing 10/50 events\n');
});

test('on a terminal, progress is a bar once the total is known, and is removed at the end', () => {
  const { stream, text } = sink(true);
  const progress = createProgress('publishing', 'events', { stream });
  progress.update(3);
  expect(text()).toContain('publishing 3 events');
  progress.update(5, 10);
  expect(text()).toMatch(/publishing =+-+ 5\/10 events/);
  progress.stop();
  progress.stop();
  // The cursor is shown again, and the line cleared.
  expect(text()).toContain('\u001b[?25h');
});

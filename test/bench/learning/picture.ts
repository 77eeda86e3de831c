import type { CurvePoint, RowFigures } from './figures.ts';

const WIDTH = 760;
const HEIGHT = 420;
const PLOT = { left: 64, right: 560, top: 44, bottom: 366 };

/** Rows of the picture, in colours that colour-blind readers can distinguish (Okabe & Ito 2008). */
const COLOURS = {
  'no-adapter': '#999999',
  seed: '#cc79a7',
  'item-mean': '#e69f00',
  'no-bank': '#0072b2',
  bank: '#d55e00',
  'bank-prefilled': '#009e73',
} as const;

/** An SVG of mean loss over updates with 95 % bands. */
export function picture(title: string, rows: readonly RowFigures[]): string {
  const drawn = Object.entries(COLOURS).flatMap(([name, colour]) => {
    const row = rows.find((candidate) => candidate.name === name);
    return row === undefined ? [] : [{ name, colour, curve: row.curve }];
  });
  const points = drawn.flatMap(({ curve }) => curve);
  const lowest = Math.min(...points.map(({ low }) => low));
  const highest = Math.max(...points.map(({ high }) => high));
  const updates = Math.max(...drawn.map(({ curve }) => curve.length - 1));
  const x = (update: number) => PLOT.left + (update / updates) * (PLOT.right - PLOT.left);
  const y = (loss: number) => PLOT.bottom - ((loss - lowest) / (highest - lowest)) * (PLOT.bottom - PLOT.top);
  const at = (update: number, loss: number) => `${x(update).toFixed(1)},${y(loss).toFixed(1)}`;

  const band = (curve: readonly CurvePoint[]) =>
    [...curve.map(({ high }, i) => at(i, high)), ...curve.map(({ low }, i) => at(i, low)).reverse()].join(
      ' ',
    );
  const line = (curve: readonly CurvePoint[]) => curve.map(({ loss }, i) => at(i, loss)).join(' ');
  const lossTicks = ticks(lowest, highest).map(
    (loss) =>
      `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(loss).toFixed(1)}" y2="${y(loss).toFixed(1)}" stroke="#ddd"/>` +
      `<text x="${PLOT.left - 8}" y="${(y(loss) + 4).toFixed(1)}" text-anchor="end">${loss.toFixed(3)}</text>`,
  );
  const updateTicks = ticks(0, updates).map(
    (update) =>
      `<text x="${x(update).toFixed(1)}" y="${PLOT.bottom + 18}" text-anchor="middle">${update}</text>`,
  );
  const series = drawn.map(
    ({ colour, curve }) =>
      `<polygon points="${band(curve)}" fill="${colour}" opacity="0.10"/>` +
      `<polyline points="${line(curve)}" fill="none" stroke="${colour}" stroke-width="2"/>`,
  );
  const legend = drawn.map(
    ({ name, colour }, i) =>
      `<line x1="${PLOT.right + 16}" x2="${PLOT.right + 40}" y1="${60 + 22 * i}" y2="${60 + 22 * i}" stroke="${colour}" stroke-width="3"/>` +
      `<text x="${PLOT.right + 48}" y="${64 + 22 * i}">${name}</text>`,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${PLOT.left}" y="24" font-size="14">${escaped(title)}</text>`,
    ...lossTicks,
    ...updateTicks,
    `<text x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">updates of the user before (5 interactions each)</text>`,
    `<text transform="translate(16 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)" text-anchor="middle">mean squared error of predicted reward</text>`,
    ...series,
    ...legend,
    '</svg>',
  ].join('\n')}\n`;
}

/** Round numbers between two others, about six. */
function ticks(from: number, to: number): number[] {
  const rough = (to - from) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.floor(to / step) - first + 1 }, (_, i) => (first + i) * step);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

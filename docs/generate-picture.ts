import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExampleUser } from '../cli/replay/example-user.ts';

/**
 * Draws the ranking of one user before and after learning, docs/ranking.svg, from the summary of a
 * replay: `npm start --silent -- --json | node docs/generate-picture.ts`.
 */
export function rankingPicture({ userId, interactions, liked, before, after }: ExampleUser): string {
  const favourites = genresOf(liked);
  const columns = [
    { title: `${userId} liked best`, items: liked },
    { title: 'Before: as for a new user', items: before },
    { title: `After ${interactions} interactions`, items: after },
  ];
  const width = COLUMN.width * columns.length + MARGIN * (columns.length + 1);
  const height = TOP + ROW * liked.length + MARGIN;
  const drawn = columns.map(({ title, items }, at) => {
    const x = MARGIN + at * (COLUMN.width + MARGIN);
    const rows = items.map((item, row) => {
      const isFavourite = genresOf([item]).some((genre) => favourites.includes(genre));
      return chip(item, at === 0 ? '' : `${row + 1}. `, x, TOP + row * ROW, isFavourite);
    });
    return [`<text x="${x}" y="${TOP - 14}" class="title">${escaped(title)}</text>`, ...rows].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="What ${escaped(userId)} is recommended before and after Attune has learned">
<style>text { font: 14px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 }</style>
<rect width="${width}" height="${height}" rx="8" fill="#ffffff" stroke="#d1d9e0"/>
${drawn.join('\n')}
</svg>
`;
}

const COLUMN = { width: 230 } as const;
const MARGIN = 20;
const TOP = 48;
const ROW = 36;

/** An item, highlighted when it has a genre of the user's favourites. */
function chip(item: string, rank: string, x: number, y: number, highlighted: boolean): string {
  const [fill, stroke] = highlighted ? ['#dafbe1', '#4ac26b'] : ['#f6f8fa', '#d1d9e0'];
  const box = `<rect x="${x}" y="${y}" width="${COLUMN.width}" height="28" rx="6" fill="${fill}" stroke="${stroke}"/>`;
  return `${box}\n<text x="${x + 10}" y="${y + 19}">${escaped(`${rank}${item}`)}</text>`;
}

/**
 * The genre that most of the items have. Titles end in their genres, such as `item-0209 (genre A
 * and E)`.
 */
function genresOf(items: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const item of items) {
    const [, genres = ''] = /\(genre (.*)\)$/.exec(item) ?? [];
    for (const genre of genres.split(' and ')) counts.set(genre, (counts.get(genre) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  return [...counts].filter(([, count]) => count === most).map(([genre]) => genre);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

if (import.meta.main) {
  const { example } = JSON.parse(readFileSync(process.stdin.fd, 'utf8')) as { example: ExampleUser };
  writeFileSync(join(import.meta.dirname, 'ranking.svg'), rankingPicture(example));
}

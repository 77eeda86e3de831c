/** The names of the articles of docs/runbook.md. */
export function articlesOf(page: string): string[] {
  return [...page.matchAll(/^## (\S+)$/gm)].map(([, name]) => name!);
}

/** The commands of `attune` that an article names, without options and arguments. */
export function commandsOf(page: string, article: string): string[] {
  const [, text = ''] =
    new RegExp(`^## ${article}\\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(page) ?? [];
  const named = [...text.matchAll(/`attune ([a-z][^`]*)`/g)].map(([, words = '']) => {
    const [first = '', second = ''] = words.split(' ');
    return ['dlq', 'model', 'catalogue', 'basis'].includes(first) ? `${first} ${second}` : first;
  });
  return [...new Set(named)];
}

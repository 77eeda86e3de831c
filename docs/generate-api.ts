import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** What one can import, and the declarations of its entry file. */
const ENTRY_POINTS = [
  ['attune', 'shared/index.d.ts'],
  ['attune/client', 'shared/client/index.d.ts'],
  ['attune/cdk', 'infra/index.d.ts'],
] as const;

/**
 * Writes docs/api.md from the doc comments of what the package exports: `npm run docs`. It reads
 * the built declarations, which hold nothing but declarations and their comments.
 */
export function apiDocument(dist: string): string {
  const lines = ['# API', '', 'Generated from the doc comments by `npm run docs`; do not edit.', ''];
  for (const [specifier, file] of ENTRY_POINTS) lines.push(...entryPoint(specifier, join(dist, file), dist));
  return `${lines.join('\n').trimEnd()}\n`;
}

/** All that `import … from` a specifier gives. */
function entryPoint(specifier: string, root: string, dist: string): string[] {
  const { comment, code } = firstComment(readFileSync(root, 'utf8'));
  const lines = [`## import … from '${specifier}'`, ''];
  if (comment !== '') lines.push(textOf(comment), '');
  for (const [, , names = '', from = ''] of code.matchAll(/export (type )?\{([^}]*)\} from '([^']+)';/g)) {
    const file = join(dirname(root), from.replace(/\.ts$/, '.d.ts'));
    const declarations = declarationsOf(readFileSync(file, 'utf8'));
    lines.push(`### ${relative(dist, file).replace(/\.d\.ts$/, '.ts')}`, '');
    for (const listed of names.split(',').map((name) => name.trim())) {
      if (listed === '') continue;
      const name = listed.replace(/^type /, '');
      const declaration = declarations.get(name);
      if (declaration === undefined) throw new Error(`${file} declares no ${name}`);
      lines.push(`#### ${name}`, '');
      if (declaration.comment !== '') lines.push(textOf(declaration.comment), '');
      lines.push('```ts', declaration.code, '```', '');
    }
  }
  return lines;
}

interface Declaration {
  readonly comment: string;
  readonly code: string;
}

/** Every exported declaration of a file by its name, with the comment before it. */
function declarationsOf(text: string): Map<string, Declaration> {
  const found = new Map<string, Declaration>();
  const start =
    /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export (?:declare )?(?:abstract )?(?:interface|class|function|const|type) (\w+)/g;
  for (const match of text.matchAll(start)) {
    const [whole, comment = '', name = ''] = match;
    const from = match.index + comment.length;
    const code = text.slice(from, endOfDeclaration(text, match.index + whole.length));
    found.set(name, {
      comment,
      code: code.replace(/^export (declare )?/, '').replace(/^ {4}#private;\n/m, ''),
    });
  }
  return found;
}

/** After the first `;` or closing `}` that belongs to no bracket or comment opened since. */
function endOfDeclaration(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith('/*', at)) at = text.indexOf('*/', at) + 1;
    const character = text[at]!;
    if ('{(['.includes(character)) depth += 1;
    if ('})]'.includes(character)) depth -= 1;
    if (depth === 0 && character === ';') return at + 1;
    // An interface or a class ends without a semicolon.
    if (
      depth === 0 &&
      character === '}' &&
      /^\s*(\n|$)/.test(text.slice(at + 1)) &&
      !/^[\s\n]*[&|;[]/.test(text.slice(at + 1))
    ) {
      return at + 1;
    }
  }
  return text.length;
}

function firstComment(text: string): Declaration {
  const [comment = ''] = /^\s*\/\*\*[\s\S]*?\*\//.exec(text) ?? [];
  return { comment, code: text.slice(comment.length) };
}

/** A doc comment as Markdown: its paragraphs, then its tags as a list. */
function textOf(comment: string): string {
  const lines = comment
    .replace(/^\s*\/\*\*\s?|\s*\*\/\s*$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''));
  const text = lines.join('\n').trim();
  const firstTag = text.search(/^@/m);
  const prose = firstTag < 0 ? text : text.slice(0, firstTag).trimEnd();
  const tags = firstTag < 0 ? [] : text.slice(firstTag).split(/\n(?=@)/);
  const items = tags.map((tag) => {
    const [, kind = '', rest = ''] = /^@(\w+)\s*([\s\S]*)$/.exec(tag.replace(/\s*\n\s*/g, ' ')) ?? [];
    if (kind !== 'param') return `- ${kind}: ${rest}`;
    const [, name = '', meaning = ''] = /^(\S+)\s*(.*)$/.exec(rest) ?? [];
    return `- \`${name}\`: ${meaning}`;
  });
  return [prose.replaceAll(/\{@link (\S+)\}/g, '`$1`'), ...(items.length > 0 ? ['', ...items] : [])]
    .join('\n')
    .trim();
}

if (import.meta.main) {
  const folder = import.meta.dirname;
  writeFileSync(join(folder, 'api.md'), apiDocument(join(folder, '..', 'dist')));
}

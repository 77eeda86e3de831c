type XmlValue = string | number | boolean | XmlTree | readonly XmlValue[] | undefined;
export interface XmlTree {
  readonly [element: string]: XmlValue;
}

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** Writes a document with one root element. An array repeats its element; `undefined` omits it. */
export function xmlDocument(root: string, content: XmlTree): string {
  const namespace = root === 'Error' ? '' : ` xmlns="${NAMESPACE}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${namespace}>${children(content)}</${root}>`;
}

function children(tree: XmlTree): string {
  return Object.entries(tree)
    .map(([name, value]) => element(name, value))
    .join('');
}

function element(name: string, value: XmlValue): string {
  if (value === undefined) return '';
  if (isArray(value)) return value.map((item) => element(name, item)).join('');
  const content = typeof value === 'object' ? children(value) : escapeText(String(value));
  return `<${name}>${content}</${name}>`;
}

// Array.isArray does not narrow a readonly array out of a union.
const isArray = (value: XmlValue): value is readonly XmlValue[] => Array.isArray(value);

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function escapeText(text: string): string {
  // Writes control characters as references, as S3 does, because XML parsers read a raw CR as LF.
  return text.replace(/[&<>"]|\p{Cc}/gu, (c) => {
    const named = Object.keys(ENTITIES).find((name) => ENTITIES[name] === c);
    return named === undefined ? `&#x${c.codePointAt(0)?.toString(16)};` : `&${named};`;
  });
}

/** The text content of an element, with resolved references. */
export function unescapeText(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (all, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name] ?? all;
  });
}

/** The raw content of every `<name>` element. Elements with the same name must not nest. */
export function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(
    (match) => match[1] ?? '',
  );
}

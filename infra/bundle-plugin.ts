import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';

/**
 * Removes unused code that esbuild alone would keep:
 *
 * - schemas of operations that are not called. Their objects have computed keys, which could have
 * side effects, so they are marked as free of them;
 * - event streams, which the protocol of every client loads for operations such as
 * SelectObjectContent;
 * - JSON schemas of zod's types;
 * - SHA-256 in JavaScript, the fallback where Node was built without its crypto module;
 * - signatures for several regions, which only multi-region access points need;
 * - a client's package.json except its version, which the user agent needs.
 */
export const leaveOutUnused: Plugin = {
  name: 'leave-out-unused',
  setup(build) {
    build.onLoad({ filter: /client-[a-z0-9]+\/dist-es\/schemas\/schemas_0\.js$/ }, async ({ path }) => ({
      contents: markPure(await readFile(path, 'utf8')),
    }));
    build.onLoad({ filter: /client-[a-z0-9]+\/package\.json$/ }, async ({ path }) => {
      const { version } = JSON.parse(await readFile(path, 'utf8')) as { readonly version: string };
      return { contents: JSON.stringify({ version }), loader: 'json' };
    });
    build.onLoad({ filter: /signature-v4-multi-region\/dist-es\/SignatureV4MultiRegion\.js$/ }, () => ({
      contents: `import { SignatureV4SignWithCredentials } from './SignatureV4SignWithCredentials';
        export class SignatureV4MultiRegion extends SignatureV4SignWithCredentials {
          static sigv4aDependency() { return 'none'; }
        }`,
    }));
    const unused =
      /@smithy\/core\/dist-es\/submodules\/(event-streams\/index|checksum\/sha256\/Sha256Js)\.js$|zod\/v4\/core\/(to-json-schema|json-schema-processors)\.js$/;
    build.onLoad({ filter: unused }, async ({ path }) => ({
      contents: withoutBodies(await readFile(path, 'utf8')),
    }));
  },
};

/**
 * The exports of a module without their implementation: makers and settings do nothing, all others
 * throw.
 */
function withoutBodies(source: string): string {
  const declared = [...source.matchAll(/^export (?:async )?(?:function|const|class) (\w+)/gm)].map(
    ([, name]) => name!,
  );
  const listed = [...source.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, names]) =>
    names!.split(',').flatMap((name) => name.trim().split(' as ').at(-1) || []),
  );
  const isMaker = (name: string) => /^(create|resolve)|Provider$/.test(name);
  const missing = (name: string) => `throw new Error('${name}: left out of this bundle');`;
  return [...declared, ...listed]
    .map((name) => {
      if (/^[A-Z]/.test(name)) return `export class ${name} { constructor() { ${missing(name)} } }`;
      if (!isMaker(name)) return `export const ${name} = () => { ${missing(name)} };`;
      return name.startsWith('resolve')
        ? `export const ${name} = (config) => config;`
        : `export const ${name} = () => () => { ${missing(name)} };`;
    })
    .join('\n');
}

/**
 * Makes the value of every variable of a module the result of a call that esbuild may leave out.
 */
function markPure(source: string): string {
  return source
    .split(/\n(?=[A-Za-z_])/)
    .map((statement) =>
      statement.replace(
        /^((?:export )?var \w+\$? = )([[{][\s\S]*);\s*$/,
        '$1/* @__PURE__ */ (() => ($2))();',
      ),
    )
    .join('\n');
}

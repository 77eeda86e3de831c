#!/usr/bin/env node
// A clone has TypeScript sources beside this file; the installed package has only compiled files.
import { existsSync } from 'node:fs';
import module from 'node:module';

// Compiling the modules takes longer than most commands. An older Node lacks the cache.
module.enableCompileCache?.();
const source = new URL('./attune.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('../dist/cli/attune.js', import.meta.url).href);

#!/usr/bin/env node
// kdx, from the compiled files.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const shell = new URL('../dist/cli/shell.js', import.meta.url);
if (existsSync(shell)) {
  const { runShell } = await import(shell.href);
  await runShell(process.argv.slice(2), { root: fileURLToPath(new URL('..', import.meta.url)) });
} else {
  console.error('Error [not-built]: kdx is not compiled\nTry: npm run build\n     npm run setup, on a fresh clone');
  process.exitCode = 1;
}

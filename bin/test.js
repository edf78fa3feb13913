#!/usr/bin/env node
// Runs the fast tests (all but test/perf, test/device and test/long), or the test files named as arguments; options that
// begin with a dash are given to Node's test runner.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const slow = ['perf', 'device', 'long'];
const words = process.argv.slice(2);
const named = words.filter((word) => !word.startsWith('-'));
const files = named.length > 0 ? named : find('test').filter((file) => !slow.includes(file.split('/')[1] ?? ''));

// A file that hangs is ended, and named.
const patience = named.length > 0 ? [] : ['--test-timeout=900000'];
const runner = ['--test', '--test-reporter=spec', '--test-concurrency=2', ...patience];
const source = ['--conditions=source', '--import', import.meta.resolve('tsx')];
const options = words.filter((word) => word.startsWith('-'));
const child = spawn(process.execPath, [...source, ...runner, ...options, ...files], {
  cwd: named.length > 0 ? process.cwd() : root,
  stdio: 'inherit',
});
process.on('SIGINT', () => undefined);
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});

/** Test files under a folder of the repository, sorted, with forward slashes. */
function find(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return find(path);
      return entry.name.endsWith('.test.ts') ? [path] : [];
    })
    .sort();
}

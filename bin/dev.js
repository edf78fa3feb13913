#!/usr/bin/env node
// kdx, from the TypeScript sources. Node is started again with what that needs, because export conditions cannot be
// changed in a running process; threads inherit them.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const condition = '--conditions=source';
if (process.execArgv.includes(condition)) {
  const { runShell } = await import('../src/cli/shell.ts');
  const root = fileURLToPath(new URL('..', import.meta.url));
  await runShell(process.argv.slice(2), { root, source: true });
} else {
  const options = [condition, '--enable-source-maps', '--import', import.meta.resolve('tsx')];
  const child = spawn(process.execPath, [...options, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // A terminal sends Ctrl-C to both; it is the child that decides when to end.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}

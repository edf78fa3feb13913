#!/usr/bin/env node
// Makes a clone ready: dependencies as locked, compiled files. Quick and silent when nothing has changed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const oldest = [20, 9];

checkNode();
if (!installed()) {
  console.error('setup: installing dependencies (npm ci)');
  npm('ci', '--no-fund', '--no-audit', '--loglevel=error');
}
execute(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--build'], 'the sources do not compile');

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return;
  fail(`Node ${oldest.join('.')} or newer is needed, this is ${process.versions.node}`, 'https://nodejs.org');
}

/** npm leaves a copy of the lock file of what it has installed, as its last act: both must agree. */
function installed() {
  const copy = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(copy)) return false;
  const wanted = readJson(join(root, 'package-lock.json')).packages;
  const present = readJson(copy).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    const found = present[path];
    if (path === '' || (found === undefined && (entry.optional || !path.includes('node_modules/')))) return true;
    return found?.version === entry.version && found?.integrity === entry.integrity;
  });
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function npm(...words) {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) execute(process.execPath, [script, ...words], 'npm ci failed');
  else execute('npm', words, 'npm ci failed', process.platform === 'win32');
}

/** What the program prints goes to stderr: stdout belongs to the command that follows. */
function execute(program, words, failure, shell = false) {
  const { status, error } = spawnSync(program, words, { cwd: root, stdio: ['inherit', 2, 2], shell });
  if (error || status !== 0) fail(error ? `${failure}: ${error.message}` : failure, 'see the lines above');
}

function fail(message, suggestion) {
  console.error(`Error [setup]: ${message}\nTry: ${suggestion}`);
  process.exit(1);
}

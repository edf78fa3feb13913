/** The program as a whole: help, version, unknown commands, and a clone that is not built. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from '@oclif/core';
import { KdxCommand } from '../../src/cli/index.ts';
import { runKdx, runNode } from './program.ts';

const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));

test('help and version', async () => {
  const [help, version, none] = await Promise.all([runKdx(['--help']), runKdx(['--version']), runKdx([])]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /USAGE\s+\$ kdx \[COMMAND\]/);
  assert.match(help.stdout, /\bdoctor\s+\S/);
  assert.equal(none.stdout, help.stdout);
  assert.match(version.stdout, /^kdx\/\d+\.\d+\.\d+ /);
});

test('every command has a summary, an example that can be run, and a line for each flag', async () => {
  const commands = new Map<string, typeof Command>();
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  const { workspaces } = JSON.parse(text) as { workspaces: string[] };
  for (const folder of ['.', ...workspaces]) {
    const index = new URL(`../../${folder}/src/commands/index.ts`, import.meta.url);
    // A plugin may have hooks only.
    if (!existsSync(index)) continue;
    const module = (await import(index.href)) as { commands: Record<string, typeof Command> };
    for (const [id, command] of Object.entries(module.commands)) commands.set(id, command);
  }
  assert.ok(commands.has('doctor'));
  for (const [id, command] of commands) {
    assert.ok(command.prototype instanceof KdxCommand, id);
    assert.ok(command.summary, id);
    const examples = (command.examples ?? []).map((example) =>
      typeof example === 'string' ? example : example.command,
    );
    assert.ok(examples.length > 0, id);
    const start = new RegExp(`^<%= config\\.bin %> (<%= command\\.id %>|${id})( |$)`, 'm');
    for (const example of examples) assert.match(example, start);
    for (const [name, flag] of Object.entries({ ...command.flags }))
      assert.ok(flag.summary ?? flag.description, `${id} --${name}`);
    for (const [name, arg] of Object.entries({ ...command.args })) assert.ok(arg.description, `${id} ${name}`);
  }
});

test('help is a command too', async () => {
  const [flag, word, short] = await Promise.all([
    runKdx(['doctor', '--help']),
    runKdx(['help', 'doctor']),
    runKdx(['doctor', '-h']),
  ]);
  assert.match(flag.stdout, /USAGE/);
  assert.equal(word.stdout, flag.stdout);
  assert.equal(short.stdout, flag.stdout);
});

test('an unknown command suggests one that exists', async () => {
  const [human, json] = await Promise.all([runKdx(['docter']), runKdx(['docter', '--json'])]);
  assert.equal(human.code, 2);
  assert.equal(human.stdout, '');
  assert.match(
    human.stderr,
    /Error \[unknown-command\]: there is no command 'docter'\nTry: kdx doctor\n {5}kdx --help\n$/,
  );
  assert.equal(json.code, 2);
  assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, 'unknown-command');
});

test('without the compiled files, run.js says how to get them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kdx-bin-'));
  try {
    await mkdir(join(folder, 'bin'));
    const copy = join(folder, 'bin', 'run.mjs');
    await copyFile(bin('run.js'), copy);
    const { code, stdout, stderr } = await runNode([copy, 'doctor']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /not compiled\nTry: npm run build/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('dev.js starts itself again with what sources need, from any folder', async () => {
  const [source, compiled] = await Promise.all([runNode([bin('dev.js'), '--help']), runKdx(['--help'])]);
  assert.equal(source.code, 0, source.stderr);
  assert.equal(source.stdout, compiled.stdout);
});

/** kdx doctor: what it finds, for people and as JSON. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { findProgram, type Surroundings } from '../../src/commands/surroundings.ts';
import { runKdx } from '../cli/program.ts';

test('the same facts for people and as JSON', async () => {
  const [human, json] = await Promise.all([runKdx(['doctor']), runKdx(['doctor', '--json'])]);
  assert.equal(json.code, 0, json.stderr);
  const found = JSON.parse(json.stdout) as Surroundings;
  assert.deepEqual(found.devices.map((device) => device.kind).sort(), ['cpu', 'cuda', 'webgpu']);
  for (const device of found.devices) assert.ok(device.reason.length > 0);
  assert.equal(found.devices.find((device) => device.kind === 'cpu')?.available, true);
  assert.equal(found.versions.node, process.versions.node);
  assert.ok(found.memoryBytes > 0);
  assert.deepEqual(
    found.optional.map((part) => part.name),
    ['koffi', 'onnxruntime-web', 'tensorflow.js', 'chromium'],
  );

  assert.equal(human.code, 0);
  assert.ok(human.stdout.includes(found.versions['onnxruntime-node']!));
  for (const { kind, available } of found.devices)
    assert.match(human.stdout, new RegExp(`^  \\${available ? '+' : '-'} ${kind} `, 'm'));
  assert.ok(human.stdout.split('\n').every((line) => line.length <= 80));
});

test('a program is found on the path when it can be executed', async () => {
  const folders = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), 'kdx-path-'))));
  try {
    const [first, second] = folders.map((folder) => join(folder, 'browser')) as [string, string];
    await Promise.all([writeFile(first, ''), writeFile(second, '')]);
    await chmod(second, 0o755);
    const path = folders.join(delimiter);
    assert.equal(findProgram(['no-such-program', 'browser'], path), second);
    assert.equal(findProgram(['no-such-program'], path), undefined);
  } finally {
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
  }
});

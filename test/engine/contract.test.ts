/** The contract, over both ways to ONNX Runtime. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine } from '../../src/engine/index.ts';
import { engineContract, train } from './contract.ts';
import { hasKoffi, withoutKoffi as noKoffi } from '../support/backends.ts';

// Without koffi, an optional dependency, there is no C API.
if (hasKoffi) engineContract('onnxruntime, C API', () => openEngine({ device: 'cpu', backend: 'capi', threads: 2 }));
engineContract('onnxruntime, Node binding', () => openEngine({ device: 'cpu', backend: 'binding', threads: 2 }));

test('both give the same bits', { skip: noKoffi }, async () => {
  const runs = [];
  for (const backend of ['capi', 'binding'] as const) {
    const engine = await openEngine({ backend, threads: 2 });
    runs.push(await train(engine, 8));
    await engine.close();
  }
  assert.deepEqual(runs[0], runs[1]);
});

/** Session options reach ONNX Runtime: seen in the graph that it makes of a model. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openEngine, type SessionOptions } from '../../src/engine/index.ts';
import { readModel } from '../../src/onnx/index.ts';
import { f32, model } from './graphs.ts';
import { backends } from '../support/backends.ts';

const foldable = model({
  inputs: [['x', 'float32', [2]]],
  outputs: [['y', 'float32', [2]]],
  initializers: { a: f32([1, 2]), b: f32([3, 4]) },
  nodes: [
    ['c', 'Add', 'a b'],
    ['n', 'Neg', 'x'],
    ['i', 'Identity', 'n'],
    ['y', 'Mul', 'i c'],
  ],
});

for (const backend of backends)
  test(`${backend}: optimization level and optimizers switched off`, async () => {
    const engine = await openEngine({ backend });
    const folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
    const optimizedModelPath = join(folder, 'optimized.onnx');
    const nodesWith = async (options: SessionOptions) => {
      const session = await engine.createSession(foldable, { ...options, optimizedModelPath });
      await session.release();
      return (await readModel(optimizedModelPath)).graph.nodes.map((node) => node.opType).sort();
    };
    const all = ['Add', 'Identity', 'Mul', 'Neg'];
    assert.deepEqual(await nodesWith({ optimization: 'disabled' }), all);
    assert.deepEqual(await nodesWith({ optimization: 'basic' }), ['Mul', 'Neg']);
    assert.deepEqual(await nodesWith({ optimization: 'basic', disabledOptimizers: ['ConstantFolding'] }), [
      'Add',
      'Mul',
      'Neg',
    ]);
    const disabledOptimizers = ['ConstantFolding', 'EliminateIdentity'];
    assert.deepEqual(await nodesWith({ optimization: 'basic', disabledOptimizers }), all);
    await engine.close();
    await rm(folder, { recursive: true });
  });

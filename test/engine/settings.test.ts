/** Session options reach ONNX Runtime: seen in the graph that it makes of a model. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCapiDriver } from '../../src/engine/capi-driver.ts';
import type { SessionSettings } from '../../src/engine/driver.ts';
import { nativeLibrary, nodeSessionOptions, openEngine, type SessionOptions } from '../../src/engine/index.ts';
import { loadKoffi } from '../../src/engine/library.ts';
import { openOrtApi } from '../../src/engine/ort-api.ts';
import { encodeModel, readModel } from '../../src/onnx/index.ts';
import { f32, model } from './graphs.ts';
import { backends, withoutKoffi } from '../support/backends.ts';

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

test('the C API is told about spinning, prepacking and the memory pattern', { skip: withoutKoffi }, async () => {
  const koffi = await loadKoffi();
  assert.ok(!(koffi instanceof Error));
  const api = openOrtApi(koffi, nativeLibrary().path);
  let calls: unknown[][] = [];
  const call: typeof api.call = (name, ...args) => {
    calls.push([name, ...args.slice(1)]);
    api.call(name, ...args);
  };
  const driver = openCapiDriver({ ...api, call });
  const usual: SessionSettings = {
    name: 'probe',
    inPlace: false,
    optimization: 'all',
    disabledOptimizers: [],
    memoryPattern: false,
    spinning: false,
    prepacking: true,
    threads: 1,
    cpuFallback: true,
    optimizedModelPath: undefined,
  };
  const told = async (changes: Partial<SessionSettings>) => {
    calls = [];
    await driver.createSession(1, encodeModel(foldable).bytes, { ...usual, ...changes });
    await driver.releaseSession(1);
    const entries = calls.filter(([name]) => name === 'AddSessionConfigEntry');
    const entry = (wanted: string) => entries.find(([, key]) => key === wanted)?.[2];
    return {
      spinning: entry('session.intra_op.allow_spinning'),
      unpacked: entry('session.disable_prepacking'),
      patternOff: calls.some(([name]) => name === 'DisableMemPattern'),
    };
  };
  assert.deepEqual(await told({}), { spinning: '0', unpacked: '0', patternOff: true });
  const changes = { spinning: true, prepacking: false, memoryPattern: true };
  assert.deepEqual(await told(changes), { spinning: '1', unpacked: '1', patternOff: false });
  await driver.close();
});

test('onnxruntime-node is told what is given, and nothing else', () => {
  assert.deepEqual(nodeSessionOptions({}), { extra: {} });
  assert.deepEqual(
    nodeSessionOptions({
      optimization: 'extended',
      disabledOptimizers: ['SkipLayerNormFusion', 'EliminateIdentity'],
      memoryPattern: true,
      prepacking: false,
      spinning: true,
      threads: 3,
    }),
    {
      graphOptimizationLevel: 'extended',
      enableMemPattern: true,
      intraOpNumThreads: 3,
      extra: {
        session: { intra_op: { allow_spinning: '1' }, disable_prepacking: '1' },
        optimization: { disable_specified_optimizers: 'SkipLayerNormFusion;EliminateIdentity' },
      },
    },
  );
});

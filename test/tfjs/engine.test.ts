/** What is special about this engine: devices, integers, files, and what it refuses. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { tfjsEngine } from '../../plugins/tfjs/src/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { tensorOf, type Attribute, type Model } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { f32, i64, int, model } from '../engine/graphs.ts';
import { skipOf } from './backends.ts';

const packages = ['node_modules', 'plugins/tfjs/node_modules'].map(
  (path) => new URL(`../../${path}/`, import.meta.url),
);
const hasGpuPackage = packages.some((folder) => existsSync(new URL('@tensorflow/tfjs-node-gpu', folder)));

const through = (opType: string, attributes: Record<string, Attribute> = {}): Model =>
  model({
    inputs: [['x', 'float32', [2]]],
    outputs: [['y', 'float32', [2]]],
    nodes: [['y', opType, 'x', attributes]],
  });

const integers = model({
  inputs: [['x', 'int64', [2]]],
  outputs: [
    ['y', 'int64', [2]],
    ['bytes', 'uint8', [2]],
  ],
  nodes: [
    ['y', 'Add', 'x x'],
    ['bytes', 'Cast', 'x', { to: int(2) }],
  ],
});

describe('engine', { skip: skipOf.cpu }, () => {
  let engine: Engine;
  before(async () => {
    engine = await tfjsEngine({ device: 'cpu', backend: 'cpu' });
  });
  after(() => engine.close());

  it('says what it is', () => {
    assert.match(engine.name, /^tensorflow\.js \d+\.\d+\.\d+\S*, cpu$/);
    assert.equal(engine.device.kind, 'cpu');
    assert.equal(engine.device.description, 'cpu (TensorFlow.js, JavaScript, 1 thread)');
  });

  it('integers are 32 bits wide, and what does not fit is refused', async () => {
    const session = await engine.createSession(integers);
    const { y } = await session.run({ feeds: { x: i64([2 ** 30 - 1, -3]) }, fetch: ['y'] });
    assert.deepEqual(y, i64([2 ** 31 - 2, -6]));
    for (const value of [2 ** 31, -(2 ** 31) - 1, 2 ** 53])
      await assert.rejects(session.run({ feeds: { x: i64([value, 0]) }, fetch: ['y'] }), /-?\d+ does not fit in int32/);
    const bytes = (value: number) => session.run({ feeds: { x: i64([value, 0]) }, fetch: ['bytes'] });
    assert.deepEqual((await bytes(255)).bytes, tensorOf('uint8', [2], [255, 0]));
    await assert.rejects(bytes(256), /256 does not fit in uint8/);
    await assert.rejects(engine.store(i64([2 ** 40])), /does not fit in int32/);
    await assert.rejects(engine.store(tensorOf('float64', [1], [1])), /TensorFlow\.js has no float64/);
  });

  it('a model file with external data', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
    const path = join(folder, 'model.onnx');
    const w = f32(Array.from({ length: 512 }, (_, i) => i));
    const sum = model({
      inputs: [['x', 'float32', [512]]],
      outputs: [['y', 'float32', [512]]],
      initializers: { w },
      nodes: [['y', 'Add', 'x w']],
    });
    await writeModel(path, sum, { externalData: 'always' });
    const session = await engine.createSession(path);
    const { y } = await session.run({ feeds: { x: f32(new Array<number>(512).fill(0)) }, fetch: ['y'] });
    assert.deepEqual(y, w);
    await writeModel(path, through('HardSwish'));
    await assert.rejects(engine.createSession(path), {
      code: 'invalid-model',
      message: /HardSwish : there is no kernel/,
    });
    await rm(folder, { recursive: true });
  });

  const refused: readonly [title: string, model: Model, message: RegExp][] = [
    ['operators of other domains', withNode({ domain: 'com.microsoft', opType: 'Gelu' }), /Gelu : there is no kernel/],
    [
      'attributes that would change the result',
      through('Softmax', { scale: int(2) }),
      /Softmax with the attribute scale/,
    ],
    ['other opsets', { ...through('Tanh'), opsets: { '': 18 } }, /opset 18, kernels are for 13 to 17/],
    ['element types without a tensor', through('Cast', { to: int(11) }), /TensorFlow\.js has no float64/],
  ];
  for (const [title, bad, message] of refused)
    it(`refuses ${title}`, async () => {
      await assert.rejects(engine.createSession(bad), (error: Error) => {
        assert.match(error.message, /^internal: TensorFlow\.js cannot load test: /);
        assert.match(error.message, message);
        return true;
      });
    });

  it('attributes that change nothing are taken', async () => {
    const session = await engine.createSession(
      model({
        inputs: [['x', 'float32', [2]]],
        outputs: [['y', 'float32', [1, 2]]],
        initializers: { shape: i64([1, 2]) },
        nodes: [['y', 'Reshape', 'x shape', { allowzero: int(0) }]],
      }),
    );
    assert.deepEqual((await session.run({ feeds: { x: f32([1, 2]) }, fetch: ['y'] })).y, f32([1, 2], [1, 2]));
  });

  it('has no optimized graph to write', () =>
    assert.rejects(engine.createSession(through('Tanh'), { optimizedModelPath: 'x.onnx' }), {
      code: 'unsupported-option',
    }));
});

describe('devices', () => {
  it('webgpu is not there', () => assert.rejects(tfjsEngine({ device: 'webgpu' }), { code: 'device-unavailable' }));

  it('a package that is missing is named, with what to install', { skip: hasGpuPackage && 'it is there' }, () =>
    assert.rejects(tfjsEngine({ device: 'cuda' }), {
      code: 'tensorflow-missing',
      message: 'no TensorFlow.js can be loaded: node-gpu: @tensorflow/tfjs-node-gpu is not installed',
      suggestions: [
        'npm install @tensorflow/tfjs-node-gpu, for an NVIDIA GPU',
        '--engine ort, which needs none of them',
      ],
    }),
  );
});

/** `through` with another node. */
function withNode(change: { domain: string; opType: string }): Model {
  const { graph, ...rest } = through('Tanh');
  return { ...rest, graph: { ...graph, nodes: graph.nodes.map((node) => ({ ...node, ...change })) } };
}

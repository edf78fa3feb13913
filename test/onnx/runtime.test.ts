/** ONNX Runtime as the judge of what is written. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Attribute, Model } from '../../src/graph/index.ts';
import { modelOf, tensorOf } from '../../src/graph/index.ts';
import { encodeModel, readModel, writeModel } from '../../src/onnx/index.ts';
import { graphOf, info, linear, node } from './samples.ts';

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'kdx-runtime-'))));
after(() => rm(folder, { recursive: true }));

const inner = 40;
const outer = 600;

async function runLinear(session: InferenceSession): Promise<void> {
  const x = new Tensor(
    'float32',
    Float32Array.from({ length: inner }, (_, i) => (i === 3 ? 2 : 0)),
    [1, inner],
  );
  const { y } = await session.run({ x });
  const expected = Float32Array.from({ length: outer }, (_, i) => 2 * (3 * outer + i) - 1);
  assert.deepEqual([...((y as Tensor).data as Float32Array)], [...expected]);
}

test('a model from memory runs', async () => {
  await runLinear(await InferenceSession.create(encodeModel(linear(inner, outer)).bytes));
});

test('a model of IR version 3 runs', async () => {
  await runLinear(await InferenceSession.create(encodeModel({ ...linear(inner, outer), irVersion: 3 }).bytes));
});

for (const externalData of ['never', 'always'] as const)
  test(`a model file runs, external data: ${externalData}`, async () => {
    const path = join(folder, externalData, 'model.onnx');
    await writeModel(path, linear(inner, outer), { externalData });
    await runLinear(await InferenceSession.create(path));
    await writeModel(path, await readModel(path), { externalData });
    await runLinear(await InferenceSession.create(path));
  });

test('a page-aligned tensor runs from the data file', async () => {
  const path = join(folder, 'aligned', 'model.onnx');
  const model = linear(512, outer);
  await writeModel(path, model, { externalData: 'always' });
  const session = await InferenceSession.create(path);
  const { y } = await session.run({ x: new Tensor('float32', new Float32Array(512).fill(1), [1, 512]) });
  // Column 0 of W is 600 i; partial sums are multiples of 8 below 2^27, so exact in float32.
  assert.equal(((y as Tensor).data as Float32Array)[0], Math.fround((511 * 512 * outer) / 2 - 1));
});

/** Each attribute type that a standard operator has, with a result that shows it was understood. */
function attributes(): Model {
  const branch = (name: string, value: number): Attribute => ({
    type: 'graph',
    value: graphOf({
      name,
      outputs: [info(name, [2])],
      nodes: [
        node('Constant', [], [name], { value: { type: 'tensor', value: tensorOf('float32', [2], [value, value]) } }),
      ],
    }),
  });
  const graph = graphOf({
    inputs: [info('x', [1, 2]), info('flag', [], 'bool')],
    outputs: [info('y', [2, 1]), info('z', [2]), info('s', [1], 'int64')],
    nodes: [
      node('LeakyRelu', ['x'], ['leaky'], { alpha: { type: 'float', value: 0.5 } }),
      node('Transpose', ['leaky'], ['y'], { perm: { type: 'ints', value: [1, 0] } }),
      node('If', ['flag'], ['z'], { then_branch: branch('a', 1), else_branch: branch('b', 2) }),
      node('Constant', [], ['floats'], { value_floats: { type: 'floats', value: [1, 2, 3] } }),
      node('Shape', ['floats'], ['s'], { start: { type: 'int', value: 0 } }),
    ],
  });
  return modelOf(graph);
}

test('attributes and subgraphs are understood', async () => {
  const session = await InferenceSession.create(encodeModel(attributes()).bytes);
  const x = new Tensor('float32', Float32Array.of(-2, 3), [1, 2]);
  const outputs = await session.run({ x, flag: new Tensor('bool', [false], []) });
  const read = (name: string) => [...(outputs[name]?.data as ArrayLike<number | bigint> & Iterable<number | bigint>)];
  assert.deepEqual([read('y'), read('z'), read('s')], [[-1, 3], [2, 2], [3n]]);
});

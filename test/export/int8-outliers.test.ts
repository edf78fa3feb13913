/** Outlier channels of dynamic int8: which are found, that their product is exact, that everything still fuses. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Calibration, Observed } from '../../plugins/export/src/index.ts';
import { calibrationOf, paritySentences } from '../../plugins/export/src/index.ts';
import { standardNode } from '../../plugins/export/src/quantize/graph-rewrite.ts';
import { int8 } from '../../plugins/export/src/quantize/int8.ts';
import { findOutliers, outliersOf } from '../../plugins/export/src/quantize/outliers.ts';
import { checkpointModel, openSource } from '../../src/classifier/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { modelOf, tensor, type Model, type Node, type Tensor } from '../../src/graph/index.ts';
import { encodeModel, readModel } from '../../src/onnx/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { gaussian, runNode, runWeb, withoutWeb } from './tiny-encoder.ts';

const defaults = int8.options.parse({});

function ranges(...pairs: readonly (readonly [number, number])[]) {
  return { low: Float32Array.from(pairs, ([low]) => low), high: Float32Array.from(pairs, ([, high]) => high) };
}

const plain = [-1, 1] as const;

for (const [name, given, most, expected] of [
  ['none where all are alike', ranges(plain, plain, [-1.1, 1.2]), 4, []],
  ['one large channel', ranges(plain, [-0.2, 20], plain), 4, [1]],
  ['large ones of both signs, ascending', ranges([-9, 0], plain, [0, 10], plain), 4, [0, 2]],
  // 20 alone takes nothing off a range that ends at 19; both together do.
  ['two that only help together', ranges([0, 20], plain, [0, 19], plain), 4, [0, 2]],
  ['as many as allowed, if they are worth it', ranges([0, 40], plain, [0, 19], plain), 1, [0]],
  ['none if those allowed are not worth it', ranges([0, 20], plain, [0, 19], plain), 1, []],
  ['none where too little is won', ranges([-1, 1.5], plain, plain), 4, []],
  ['channels of 0 stay', ranges([0, 0], [0, 0]), 4, []],
  ['never all channels', ranges([0, 100], [0, 1]), 4, [0]],
] as const)
  test(`outliers: ${name}`, () => {
    assert.deepEqual(outliersOf(given, most), expected);
  });

/** Sentences in which an activation has these values. */
function sees(values: Readonly<Record<string, Tensor<'float32'>>>): Calibration {
  return {
    sentences: 1,
    observe: (_, names, visit) => {
      visit(new Map(names.map((name) => [name, values[name]])) as Observed);
      return Promise.resolve();
    },
  };
}

const [rows, inputs, columns] = [8, 24, 10];

/** Ordinary values, but channels 3 and 20 of them a hundred times larger. */
function withOutliers(seed: number): Tensor<'float32'> {
  const x = gaussian(seed, [rows, inputs]);
  for (let row = 0; row < rows; row++) for (const channel of [3, 20]) x.data[row * inputs + channel]! *= 100;
  return x;
}

function product(nodes: readonly Node[], initializers: Readonly<Record<string, Tensor>>): Model {
  return modelOf({
    name: 'product',
    inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', inputs] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: undefined }],
    initializers: new Map(Object.entries(initializers)),
    nodes,
    values: new Map(),
  });
}

const w = gaussian(2, [inputs, columns]);
const b = gaussian(3, [columns]);
const turned = tensor(
  'float32',
  [columns, inputs],
  Float32Array.from(w.data, (_, i) => w.data[(i % inputs) * columns + Math.floor(i / inputs)] as number),
);
const forms: readonly (readonly [string, Model])[] = [
  ['MatMul', product([standardNode('MatMul', ['x', 'w'], ['y'])], { w })],
  [
    'MatMul, Add',
    product([standardNode('MatMul', ['x', 'w'], ['p']), standardNode('Add', ['b', 'p'], ['y'])], { w, b }),
  ],
  ['Gemm', product([standardNode('Gemm', ['x', 'w'], ['y'])], { w })],
  [
    'Gemm, transB, bias',
    product([standardNode('Gemm', ['x', 'v', 'b'], ['y'], { transB: { type: 'int', value: 1 } })], { v: turned, b }),
  ],
];

for (const [form, float] of forms)
  test(`${form}: the others keep their levels`, async () => {
    const x = withOutliers(1);
    const options = { ...defaults, head: 'int8' as const };
    const expected = await runNode(float, { x });
    const error = async (model: Model) => {
      const found = await runNode(model, { x });
      return Math.hypot(...found.map((value, i) => value - (expected[i] as number)));
    };
    const separate = await int8.quantize(float, options, sees({ x }));
    const together = await int8.quantize(float, { ...options, outliers: 0 }, sees({ x }));
    assert.ok((await error(separate.model)) < (await error(together.model)) / 10);
    assert.match(separate.tensors[0]!.as, /, 2 outlier channels in float32$/);
    assert.equal(separate.tensors[0]!.bytesAfter - together.tensors[0]!.bytesAfter, 2 * columns * 4);
    assert.deepEqual(
      encodeModel(together.model).bytes,
      encodeModel((await int8.quantize(float, options)).model).bytes,
      'without sentences there is nothing to separate',
    );
    if (!withoutWeb) {
      const [node, wasm] = [await runNode(separate.model, { x }), await runWeb(separate.model, { x })];
      assert.ok(Math.hypot(...node.map((value, i) => value - (wasm[i] as number))) < 1e-2);
    }
  });

test('layers that share a weight separate channels of their own, each matrix stored once', async () => {
  const wide = gaussian(4, [inputs, inputs]);
  const square = { ...wide, data: wide.data.map((value) => value / 10) };
  const names = ['x', 'y1', 'y2', 'y3'];
  const float = product(
    [
      ...names.slice(1).map((name, i) => standardNode('MatMul', [names[i] as string, 'w'], [name])),
      standardNode('Identity', ['y3'], ['y']),
    ],
    { w: square },
  );
  const [ordinary, large] = [gaussian(5, [rows, inputs]), withOutliers(6)];
  const { model, tensors } = await int8.quantize(
    float,
    { ...defaults, head: 'int8' },
    sees({ x: large, y1: ordinary, y2: large }),
  );
  const stored = [...model.graph.initializers.keys()];
  assert.deepEqual(stored.filter((name) => name.startsWith('w')).sort(), ['w_outliers', 'w_quantized', 'w_scale']);
  assert.equal(model.graph.nodes.filter(({ inputs }) => inputs.includes('w_quantized')).length, 3);
  assert.equal(model.graph.nodes.filter(({ inputs }) => inputs.includes('w_outliers')).length, 2);
  assert.equal(tensors.length, 1);
});

test('a classifier with a planted channel: found, fused, nearer, the same bytes again', async (t) => {
  const dir = await temporaryFolder(t);
  const [hidden, inner] = [32, 64];
  const shape = { num_hidden_layers: 2, hidden_size: hidden, intermediate_size: inner, initializer_range: 0.2 };
  await writeTinyClassifier(dir, { config: shape });
  const source = await openSource(dir);
  assert.ok(source.checkpoint);
  // Channel 7 inside the first feed-forward is forty times as large, and taken as much less of.
  const weights = new Map(source.checkpoint.weights);
  const scaled = (name: string, factor: (i: number) => number) => {
    const value = weights.get(name) as Tensor<'float32'>;
    weights.set(name, { ...value, data: value.data.map((element, i) => factor(i) * element) });
  };
  const layer = 'bert.encoder.layer.0';
  scaled(`${layer}.intermediate.dense.weight`, (i) => (Math.floor(i / hidden) === 7 ? 40 : 1));
  scaled(`${layer}.output.dense.weight`, (i) => (i % inner === 7 ? 1 / 40 : 1));
  const float = checkpointModel({ ...source.checkpoint, weights });
  const engine = await openEngine({ device: 'cpu', threads: 1 });
  t.after(() => engine.close());
  const signal = new AbortController().signal;
  const calibration = calibrationOf(source, paritySentences, { engine, progress: silentProgress, signal });

  const found = await findOutliers(float, 3, calibration);
  const input = float.graph.nodes.find(({ inputs }) => inputs.includes(`${layer}.output.dense.weight`))!
    .inputs[0] as string;
  assert.deepEqual(found.get(input), [7]);

  const { model } = await int8.quantize(float, defaults, calibration);
  assert.deepEqual(encodeModel((await int8.quantize(float, defaults, calibration)).model), encodeModel(model));
  const path = join(dir, 'optimized.onnx');
  const session = await engine.createSession(model, { optimization: 'extended', optimizedModelPath: path });
  await session.release();
  const count = (nodes: readonly Node[], opType: string) => nodes.filter((node) => node.opType === opType).length;
  const { nodes } = (await readModel(path)).graph;
  assert.equal(count(nodes, 'DynamicQuantizeMatMul') + count(nodes, 'MatMulIntegerToFloat'), 13);
  assert.equal(count(nodes, 'MatMulInteger'), 0);

  const logits = async (other: Model) => {
    const all: number[] = [];
    await calibration.observe(other, ['logits'], (values) => all.push(...values.get('logits')!.data));
    return all;
  };
  const expected = await logits(float);
  const error = async (other: Model) =>
    Math.hypot(...(await logits(other)).map((value, i) => value - (expected[i] as number)));
  const [separate, together] = [await error(model), await error((await int8.quantize(float, defaults)).model)];
  assert.ok(separate < together / 2, `${separate} and ${together}`);
});

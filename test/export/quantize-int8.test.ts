/** Dynamic int8: numbers within their rounding, no saturation, the operators that ONNX Runtime fuses, sizes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { int8 } from '../../plugins/export/src/quantize/int8.ts';
import { quantizeColumns, type WeightBits } from '../../plugins/export/src/quantize/int8-columns.ts';
import { standardNode } from '../../plugins/export/src/quantize/graph-rewrite.ts';
import { parseConfig } from '../../src/checkpoint/index.ts';
import { classifierModel } from '../../src/classifier/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import type { KdxError } from '../../src/errors/index.ts';
import {
  byteLength,
  checkGraph,
  modelOf,
  tensor,
  tensorOf,
  type Model,
  type Node,
  type Tensor,
  type ValueInfo,
} from '../../src/graph/index.ts';
import { classifierParameters } from '../../src/nn/index.ts';
import { encodeModel, readModel } from '../../src/onnx/index.ts';
import { largestPair } from '../../src/passes/index.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder, tinyClassifierJson } from '../support/tiny-classifier.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

const defaults = int8.options.parse({});

function normal(seed: number, dims: readonly number[], deviation = 1): Tensor<'float32'> {
  const random = seeded(seed);
  const draw = () => Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
  const count = dims.reduce((product, dim) => product * dim, 1);
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: count }, () => deviation * draw()),
  );
}

function matrix(value: Tensor<'float32'>, transposed = false) {
  return { name: 'w', value, transposed };
}

function graphModel(nodes: readonly Node[], initializers: Record<string, Tensor>, outputs: readonly string[]): Model {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  const inputs: ValueInfo[] = [
    { name: 'x', dtype: 'float32', shape: ['batch', 'inputs'] },
    { name: 'ids', dtype: 'int64', shape: ['batch'] },
  ];
  return modelOf({
    name: 'test',
    inputs: inputs.filter(({ name }) => read.has(name)),
    outputs: outputs.map((name) => ({ name, dtype: 'float32', shape: undefined })),
    initializers: new Map(Object.entries(initializers)),
    nodes,
    values: new Map(),
  });
}

async function run(model: Model, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  checkGraph(model.graph);
  const session = await engine.createSession(model);
  return session.run({ feeds, fetch: session.outputs });
}

test('each product of a linear layer is within the bound of its rounding', async () => {
  const [rows, inputs, columns] = [7, 33, 21];
  const x = normal(1, [rows, inputs]);
  const w = normal(2, [inputs, columns], 0.1);
  const b = normal(3, [columns]);
  const turned = Float32Array.from({ length: w.data.length }, (_, i) => {
    const [n, k] = [Math.floor(i / inputs), i % inputs];
    return w.data[k * columns + n] as number;
  });
  const forms: [string, Node[], Record<string, Tensor>][] = [
    ['MatMul, Add', [standardNode('MatMul', ['x', 'w'], ['p']), standardNode('Add', ['b', 'p'], ['y'])], { w, b }],
    [
      'Gemm',
      [standardNode('Gemm', ['x', 'v', 'b'], ['y'], { transB: { type: 'int', value: 1 } })],
      { v: tensor('float32', [columns, inputs], turned), b },
    ],
  ];
  const range = Math.max(0, ...x.data) - Math.min(0, ...x.data);
  const step = range / 255;
  for (const [form, nodes, weights] of forms) {
    const float = graphModel(nodes, weights, ['y']);
    const { model, tensors } = await int8.quantize(float, { ...defaults, head: 'int8' });
    assert.equal(tensors.length, 1);
    const { scales } = quantizeColumns(matrix(w), 'auto');
    const [expected, found] = [(await run(float, { x }))['y']!, (await run(model, { x }))['y']!];
    assert.deepEqual(found.dims, [rows, columns]);
    let largest = 0;
    for (let i = 0; i < rows * columns; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      // |x̂ŵ - xw| ≤ (|x| + dx)·dw + |w|·dx, dw half a step of the weight, dx a step of x (zero point and value rounded)
      let bound = 1e-4;
      for (let k = 0; k < inputs; k++) {
        const activation = Math.abs(x.data[row * inputs + k] as number);
        const weight = Math.abs(w.data[k * columns + column] as number);
        bound += ((activation + step) * (scales.data[column] as number)) / 2 + weight * step;
      }
      const difference = Math.abs((expected.data[i] as number) - (found.data[i] as number));
      assert.ok(difference <= bound, `${form}, ${row}, ${column}: ${difference} over ${bound}`);
      largest = Math.max(largest, difference);
    }
    assert.ok(largest > 1e-4, 'it is quantized');
  }
});

/** VPMADDUBSW: products of unsigned and signed bytes, neighbours added in 16 bits with saturation. */
function saturates(w0: number, w1: number): boolean {
  return [0, 255].some((a0) =>
    [0, 255].some((a1) => {
      const exact = a0 * w0 + a1 * w1;
      return exact !== Math.max(-32768, Math.min(32767, exact));
    }),
  );
}

function saturatingColumns({ dims, data }: Tensor<'int8'>): number[] {
  const [rows, columns] = dims as [number, number];
  return Array.from({ length: columns }, (_, n) => n).filter((n) => {
    for (let k = 0; k < rows; k += 2)
      if (saturates(data[k * columns + n] as number, k + 1 < rows ? (data[(k + 1) * columns + n] as number) : 0))
        return true;
    return false;
  });
}

test('no column can saturate 16 bits, and none gives up more levels than that needs', () => {
  const [rows, columns] = [95, 64];
  const w = normal(4, [rows, columns]);
  // Columns that need nothing, that need the most, and that pair a large weight with one of the other sign.
  for (let k = 0; k < rows; k++) {
    w.data[k * columns] = k === 8 ? 1 : 0.001;
    w.data[k * columns + 1] = k === 8 || k === 9 ? 1 : 0.001;
    w.data[k * columns + 2] = k === 8 || k === 9 ? (k - 8.5) * 2 : 0;
    w.data[k * columns + 3] = k === 9 || k === 10 ? 1 : 0.001;
  }
  const quantized = (bits: WeightBits) => quantizeColumns(matrix(w), bits);
  assert.ok(saturatingColumns(quantized(8).codes).length > columns / 2, 'the danger is real');
  assert.deepEqual(saturatingColumns(quantized(7).codes), []);
  const { codes, scales, narrowed } = quantized('auto');
  assert.deepEqual(saturatingColumns(codes), []);
  const levels = Array.from({ length: columns }, (_, n) => {
    const column = Float32Array.from({ length: rows }, (_, k) => w.data[k * columns + n] as number);
    const largest = Math.max(...column.map(Math.abs));
    const count = Math.round(largest / (scales.data[n] as number));
    const more = Int8Array.from(column, (value) => Math.round((value * (count + 1)) / largest));
    assert.ok(count === 127 || largestPair(more) > 128, `column ${n} could have more than ${count} levels`);
    return count;
  });
  assert.deepEqual(levels.slice(0, 4), [127, 64, 127, 127]);
  assert.equal(narrowed, levels.filter((count) => count < 127).length);
  assert.ok(levels.reduce((sum, count) => sum + count, 0) / columns > 80, 'far more than 64 on average');
});

test('pairs begin at even rows; equal signs add up, others do not', () => {
  assert.equal(largestPair(Int8Array.of(1, 2, -60, -70, 5)), 130);
  assert.equal(largestPair(Int8Array.of(0, 100, 100, 0)), 100);
  assert.equal(largestPair(Int8Array.of(-100, 100)), 100);
  for (const [a, b] of [
    [64, 64],
    [-64, -64],
    [127, -127],
    [127, 1],
  ] as const)
    assert.equal(saturates(a, b), false);
  assert.ok(saturates(64, 65) && saturates(-64, -65) && saturates(127, 2));
});

test('columns of zeros, of numbers too small for a scale, and what is no number', async () => {
  const w = tensor('float32', [2, 3], Float32Array.of(0, 1e-42, 3e38, 0, -1e-42, -3e38));
  for (const bits of ['auto', 7, 8] as const) {
    const { codes, scales } = quantizeColumns(matrix(w), bits);
    assert.deepEqual([...codes.data].slice(0, 2), [0, 0]);
    assert.deepEqual([...scales.data].slice(0, 2), [1, 1]);
    assert.equal(codes.data[2], bits === 7 ? 64 : 127);
    assert.ok(Number.isFinite(scales.data[2]));
  }
  for (const bad of [Number.NaN, Infinity])
    for (const table of [false, true]) {
      const nodes = [standardNode('MatMul', ['x', 'w'], ['y']), standardNode('Gather', ['t', 'ids'], ['z'])];
      const [good, wrong] = [normal(1, [4, 4]), normal(1, [4, 4])];
      wrong.data[5] = bad;
      const model = graphModel(nodes, table ? { w: good, t: wrong } : { w: wrong, t: good }, ['y', 'z']);
      await assert.rejects(
        async () => int8.quantize(model, defaults),
        (error: KdxError) => error.code === 'not-finite' && error.message.startsWith(table ? 't holds' : 'w holds'),
      );
    }
});

test('rows of a table have scales of their own, and are looked up as they were', async () => {
  const [rows, width] = [9, 5];
  const t = normal(5, [rows, width]);
  for (let i = 0; i < width; i++) {
    t.data[i] = 0;
    t.data[width + i]! *= 1000;
  }
  const nodes = [
    standardNode('Gather', ['t', 'ids'], ['y']),
    standardNode('Slice', ['t', 'start', 'end', 'axis'], ['z']),
  ];
  const at = (value: number) => tensorOf('int64', [1], [value]);
  const float = graphModel(nodes, { t, start: at(1), end: at(4), axis: at(0) }, ['y', 'z']);
  const { model, tensors } = await int8.quantize(float, defaults);
  assert.deepEqual(tensors, [
    { name: 't', as: 'int8 per row', bytesBefore: 4 * rows * width, bytesAfter: rows * width + 4 * rows },
  ]);
  const operators = model.graph.nodes.map(({ opType }) => opType);
  assert.deepEqual(operators, ['Gather', 'Gather', 'Cast', 'Mul', 'Slice', 'Slice', 'Cast', 'Mul']);
  const ids = tensorOf('int64', [3], [0, 1, -1]);
  const [expected, found] = [await run(float, { ids }), await run(model, { ids })];
  for (const [name, picked] of [
    ['y', [0, 1, 8]],
    ['z', [1, 2, 3]],
  ] as const) {
    assert.deepEqual(found[name]!.dims, expected[name]!.dims);
    picked.forEach((row, i) => {
      const largest = Math.max(...t.data.subarray(row * width, (row + 1) * width).map(Math.abs));
      for (let j = 0; j < width; j++) {
        const [a, b] = [expected[name]!.data[i * width + j] as number, found[name]!.data[i * width + j] as number];
        assert.ok(Math.abs(a - b) <= (largest / 127 / 2) * 1.0001, `${name}, row ${row}: ${a}, ${b}`);
      }
    });
  }
  const kept = await int8.quantize(float, { ...defaults, embeddings: 'none' });
  assert.deepEqual(kept.tensors, []);
  assert.deepEqual(
    kept.kept.map(({ reason }) => reason),
    ['embeddings=none', 'embeddings=none'],
  );
});

/** A classifier of a shape, its weights by the function. */
function bert(json: Record<string, unknown>, weight: (dims: readonly number[], i: number) => Tensor<'float32'>): Model {
  const config = parseConfig({ ...tinyClassifierJson, ...json }, 'config.json');
  const parameters = classifierParameters(config, 2);
  return classifierModel(config, 2, new Map(parameters.map(({ name, shape }, i) => [name, weight(shape, i)])));
}

const count = (nodes: readonly Node[], opType: string) => nodes.filter((node) => node.opType === opType).length;

test('the canonical order of operators; queries, keys and values share their activation', async () => {
  const { model } = await int8.quantize(
    bert({}, (dims, i) => normal(i, dims, 0.3)),
    defaults,
  );
  const { nodes } = model.graph;
  // Two layers with four quantized activations each, and the pooler's.
  assert.equal(count(nodes, 'DynamicQuantizeLinear'), 9);
  assert.equal(count(nodes, 'MatMulInteger'), 13);
  const sum = nodes.findIndex(({ opType }) => opType === 'MatMulInteger');
  const chain = nodes.slice(sum - 1, sum + 5);
  const [quantize, product, cast, scale, rescale, add] = chain as [Node, Node, Node, Node, Node, Node];
  assert.deepEqual(
    chain.map(({ opType }) => opType),
    ['DynamicQuantizeLinear', 'MatMulInteger', 'Cast', 'Mul', 'Mul', 'Add'],
  );
  const weight = 'bert.encoder.layer.0.attention.self.query.weight';
  assert.deepEqual(product.inputs, [quantize.outputs[0], `${weight}_quantized`, quantize.outputs[2]]);
  assert.deepEqual(scale.inputs, [quantize.outputs[1], `${weight}_scale`], 'the scale of the activation first');
  assert.deepEqual(rescale.inputs, [cast.outputs[0], scale.outputs[0]]);
  assert.deepEqual(add.inputs, [rescale.outputs[0], weight.replace('weight', 'bias')]);
  const head = nodes.filter(({ inputs }) => inputs.includes('classifier.weight'));
  assert.deepEqual(
    head.map(({ opType }) => opType),
    ['MatMul'],
  );
});

test('ONNX Runtime fuses every layer', async (t) => {
  const { model } = await int8.quantize(
    bert({}, (dims, i) => normal(i, dims, 0.3)),
    defaults,
  );
  const path = join(await temporaryFolder(t), 'optimized.onnx');
  const session = await engine.createSession(model, { optimization: 'extended', optimizedModelPath: path });
  await session.release();
  const { nodes } = (await readModel(path)).graph;
  assert.equal(count(nodes, 'DynamicQuantizeMatMul'), 7, 'layers that are alone with their activation');
  assert.equal(count(nodes, 'MatMulIntegerToFloat'), 6, 'queries, keys, values');
  assert.equal(count(nodes, 'DynamicQuantizeLinear'), 2);
  for (const left of ['MatMulInteger', 'Cast.1']) assert.equal(count(nodes, left), 0);
});

test('a shared weight is quantized once and stays shared', async () => {
  const weight = (dims: readonly number[], i: number) => normal(i, dims, 0.3);
  const shared = await int8.quantize(bert({ num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] }, weight), defaults);
  const plain = await int8.quantize(bert({}, weight), defaults);
  assert.deepEqual(
    shared.tensors.map(({ name, bytesAfter }) => [name, bytesAfter]),
    plain.tensors.map(({ name, bytesAfter }) => [name, bytesAfter]),
  );
  assert.equal(count(shared.model.graph.nodes, 'MatMulInteger'), 25);
  const codes = [...shared.model.graph.initializers.keys()].filter((name) => name.endsWith('_quantized'));
  assert.equal(codes.length, shared.tensors.length);
});

test('the same model gives the same bytes, and is left as it was', async () => {
  const model = bert({}, (dims, i) => normal(i, dims, 0.3));
  const before = encodeModel(model).bytes;
  const bytes = async () => encodeModel((await int8.quantize(model, defaults)).model).bytes;
  assert.deepEqual(await bytes(), await bytes());
  assert.deepEqual(encodeModel(model).bytes, before);
});

test('an opset without DynamicQuantizeLinear is refused', async () => {
  const model = { ...bert({}, (dims, i) => normal(i, dims)), opsets: { '': 10 } };
  await assert.rejects(
    async () => int8.quantize(model, defaults),
    (error: KdxError) => error.code === 'opset-too-old' && /opset 10; int8 needs 11/.test(error.message),
  );
});

/** Shapes as published; the weights are zeros, which take no time and the same room. */
const shapes = { vocab_size: 30522, max_position_embeddings: 512, num_attention_heads: 12 };
for (const [name, json, most] of [
  [
    '6 layers of 768, 3 of them stored',
    { hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 6, kdx_layer_plan: [0, 1, 2, 0, 1, 2] },
    46.5e6,
  ],
  ['4 layers of 312', { hidden_size: 312, intermediate_size: 1200, num_hidden_layers: 4 }, 14.6e6],
] as const)
  test(`size of ${name}`, async () => {
    const zeros = (dims: readonly number[]) =>
      tensor('float32', dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)));
    const { model } = await int8.quantize(bert({ ...shapes, ...json }, zeros), defaults);
    const tensors = [...model.graph.initializers.values()];
    const size = tensors.reduce((sum, { dtype, dims }) => sum + byteLength(dtype, dims), 0);
    assert.ok(size <= most, `${size} bytes`);
    assert.ok(size > 0.95 * most, 'it holds every weight');
  });

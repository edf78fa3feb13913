/** FLOPs and parameters against published and exact counts, and graph FLOPs against the formula. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classifierModel } from '../../src/classifier/index.ts';
import type { Graph, Node } from '../../src/graph/index.ts';
import { tensor, tensorOf } from '../../src/graph/index.ts';
import { bertFlops, bertParameters, classifierParameters, type BertSizes } from '../../src/nn/index.ts';
import { graphFlops, statedShapes } from '../../plugins/bench/src/graph-flops.ts';
import { modelShapes } from '../../plugins/bench/src/graph-shapes.ts';
import { int8 } from '../../plugins/export/src/quantize/int8.ts';
import type { Quantizer } from '../../plugins/export/src/quantize/quantizer.ts';
import { weight4 } from '../../plugins/export/src/quantize/weight4.ts';
import { weight8 } from '../../plugins/export/src/quantize/weight8.ts';
import { tinyConfig } from '../checkpoint/tiny-bert.ts';

const base = { layers: 12, hidden: 768, intermediate: 3072 };
const sixLayers = { ...base, layers: 6 };
const fourLayers = { ...base, layers: 4 };
const tinyBert4 = { layers: 4, hidden: 312, intermediate: 1200 };
const bertSmall = { layers: 4, hidden: 512, intermediate: 2048 };

// Table 1 of the TinyBERT paper, in 10^9, as printed.
const published: readonly (readonly [name: string, sizes: BertSizes, flops: string])[] = [
  ['BERT-base', base, '22.5'],
  ['6 layers', sixLayers, '11.3'],
  ['4 layers', fourLayers, '7.6'],
  ['BERT_SMALL', bertSmall, '3.4'],
  ['TinyBERT4', tinyBert4, '1.2'],
];
for (const [name, sizes, flops] of published) {
  test(`${name}: FLOPs at length 128 are the published ${flops} G within 2 % or the last printed digit`, () => {
    const ours = bertFlops(sizes, 128) / 1e9;
    const digits = flops.split('.')[1]!.length;
    const within = Math.abs(ours / Number(flops) - 1) <= 0.02;
    assert.ok(within || ours.toFixed(digits) === flops, `${ours}`);
  });
}

test('FLOPs follow the formula, pooler and classifier included', () => {
  assert.equal(
    bertFlops(base, 128),
    12 * (2 * 128 * (4 * 768 ** 2 + 2 * 768 * 3072) + 4 * 128 ** 2 * 768) + 2 * 768 ** 2,
  );
  assert.equal(bertFlops({ ...base, labels: 2 }, 128) - bertFlops(base, 128), 2 * 768 * 2);
});

const exact: readonly (readonly [name: string, sizes: BertSizes, parameters: number])[] = [
  ['BERT-base', base, 109_482_240],
  ['TinyBERT4', tinyBert4, 14_350_248],
  ['TinyBERT6', sixLayers, 66_955_008],
  ['4 x 768', fourLayers, 52_779_264],
  ['3 x 768 of Pea-KD', { ...base, layers: 3 }, 45_691_392],
  ['1 x 768 of Pea-KD', { ...base, layers: 1 }, 31_515_648],
];
for (const [name, sizes, parameters] of exact) {
  test(`${name} has ${parameters} parameters`, () => assert.equal(bertParameters(sizes).total, parameters));
}

test('the parts of the parameters are those of the papers', () => {
  const { embeddings, layer, pooler, classifier } = bertParameters({ ...base, labels: 2 });
  assert.deepEqual([embeddings, layer, pooler, classifier], [23_837_184, 7_087_872, 590_592, 1_538]);
});

test('shared layers cost compute and no parameters', () => {
  const shared = { ...base, layers: 3, depth: 6 };
  assert.equal(bertParameters(shared).total, 45_691_392);
  assert.equal(bertFlops(shared, 128), bertFlops(sixLayers, 128));
});

const node = (opType: string, inputs: string[], outputs: string[], options: Partial<Node> = {}): Node => ({
  name: outputs[0]!,
  opType,
  domain: '',
  inputs,
  outputs,
  attributes: {},
  ...options,
});
const graphOf = (nodes: Node[]): Graph => ({
  name: 'test',
  inputs: [],
  outputs: [],
  initializers: new Map(),
  nodes,
  values: new Map(),
});

/** 2 M N K by hand for each operator, at batch 2, length 5. */
const products: readonly (readonly [string, Node, Record<string, number[]>, number])[] = [
  ['MatMul', node('MatMul', ['a', 'b'], ['y']), { a: [2, 5, 3], b: [3, 7], y: [2, 5, 7] }, 2 * 2 * 5 * 3 * 7],
  [
    'batched MatMul',
    node('MatMul', ['a', 'b'], ['y']),
    { a: [2, 4, 5, 3], b: [2, 4, 3, 5], y: [2, 4, 5, 5] },
    2 * 2 * 4 * 5 * 5 * 3,
  ],
  [
    'MatMulInteger',
    node('MatMulInteger', ['a', 'b', 'z', ''], ['y']),
    { a: [2, 5, 3], b: [3, 7], z: [], y: [2, 5, 7] },
    420,
  ],
  ['Gemm', node('Gemm', ['a', 'b', 'c'], ['y']), { a: [5, 3], b: [3, 7], c: [7], y: [5, 7] }, 2 * 5 * 3 * 7],
  [
    'Gemm with A transposed',
    node('Gemm', ['a', 'b'], ['y'], { attributes: { transA: { type: 'int', value: 1 } } }),
    { a: [3, 5], b: [3, 7], y: [5, 7] },
    210,
  ],
  [
    'DynamicQuantizeMatMul',
    node('DynamicQuantizeMatMul', ['a', 'b', 's', '', 'bias'], ['y'], { domain: 'com.microsoft' }),
    { a: [2, 5, 3], b: [3, 7], s: [], bias: [7], y: [2, 5, 7] },
    420,
  ],
  [
    'Attention',
    node('Attention', ['x', 'w', 'bias', 'mask'], ['y'], { domain: 'com.microsoft' }),
    { x: [2, 5, 8], w: [8, 24], bias: [24], y: [2, 5, 8] },
    2 * 2 * 5 * 8 * 24 + 4 * 2 * 5 * 5 * 8,
  ],
  [
    'MultiHeadAttention',
    node('MultiHeadAttention', ['q', 'k', 'v'], ['y'], { domain: 'com.microsoft' }),
    { q: [2, 5, 8], k: [2, 6, 8], v: [2, 6, 8], y: [2, 5, 8] },
    4 * 2 * 5 * 6 * 8,
  ],
  ['an operator that is free', node('Add', ['a', 'a'], ['y']), { a: [5], y: [5] }, 0],
];
for (const [name, call, shapes, flops] of products) {
  test(`graph FLOPs of ${name}`, () =>
    assert.equal(
      graphFlops(graphOf([call]), (value) => shapes[value]),
      flops,
    ));
}

test('FLOPs of a graph are unknown when the shape of an operand is', () => {
  const call = node('MatMul', ['a', 'b'], ['y']);
  assert.equal(
    graphFlops(graphOf([call]), (value) => (value === 'a' ? undefined : [2, 2])),
    null,
  );
});

test('stated shapes bind symbolic dimensions and know initializers', () => {
  const value = (name: string, shape: (number | string)[] | undefined) => ({ name, dtype: 'float32' as const, shape });
  const graph: Graph = {
    ...graphOf([node('MatMul', ['x', 'w'], ['y'])]),
    inputs: [value('x', ['batch_size', 'sequence_length', 3])],
    outputs: [value('y', ['batch_size', 'sequence_length', 2])],
    initializers: new Map([['w', tensorOf('float32', [3, 2], [1, 2, 3, 4, 5, 6])]]),
    values: new Map([['inner', value('inner', undefined)]]),
  };
  const shapes = statedShapes(graph, { batch_size: 2, sequence_length: 5 });
  assert.deepEqual(shapes('x'), [2, 5, 3]);
  assert.deepEqual(shapes('w'), [3, 2]);
  assert.equal(shapes('inner'), undefined);
  assert.equal(shapes('nowhere'), undefined);
  assert.equal(graphFlops(graph, shapes), 2 * 2 * 5 * 3 * 2);
  assert.equal(graphFlops(graph, statedShapes(graph, { batch_size: 2 })), null);
});

test('the graph of a classifier has the FLOPs of the formula, shared layers as often as they run', () => {
  const config = tinyConfig({ num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] });
  const model = classifierModel(config, 3, 'inputs');
  const flops = (producer: string, bindings: Record<string, number>) =>
    graphFlops(model.graph, modelShapes({ ...model, producer: { name: producer, version: '' } }, bindings));
  const sizes = { layers: 2, depth: 4, hidden: config.hiddenSize, intermediate: config.intermediateSize, labels: 3 };
  const bindings = { batch_size: 1, sequence_length: 7 };
  assert.equal(flops('kdx', bindings), bertFlops(sizes, 7));
  assert.equal(flops('kdx', { ...bindings, batch_size: 2 }), 2 * bertFlops(sizes, 7));
  assert.equal(flops('kdx', { batch_size: 1 }), null);
  // Another exporter may mean something else by a default.
  assert.equal(flops('pytorch', bindings), null);
});

for (const [name, quantizer, options] of [
  ['int8', int8, {}],
  ['weight8', weight8, { form: 'portable' }],
  ['weight4, MatMulNBits and blocks', weight4, { form: 'nbits' }],
  ['weight4, standard operators', weight4, { form: 'portable' }],
] as const)
  test(`a quantized file computes as much as the float one: ${name}`, async () => {
    const config = tinyConfig({ hidden_size: 32, intermediate_size: 64 });
    const parameters = classifierParameters(config, 3);
    const waves = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i));
    const weights = new Map(
      parameters.map(({ name, shape }) => [name, tensor('float32', shape, waves(shape.reduce((a, b) => a * b, 1)))]),
    );
    const float = { ...classifierModel(config, 3, weights), producer: { name: 'kdx', version: '' } };
    const { model } = await (quantizer as Quantizer).quantize(float, quantizer.options.parse(options));
    const bindings = { batch_size: 1, sequence_length: 7 };
    const expected = graphFlops(float.graph, modelShapes(float, bindings));
    assert.ok(expected);
    assert.equal(graphFlops(model.graph, modelShapes(model, bindings)), expected);
  });

test('behind an operator that kdx does not know, nothing is inferred', () => {
  const graph: Graph = {
    ...graphOf([node('Mystery', ['x'], ['h']), node('MatMul', ['h', 'w'], ['y'])]),
    inputs: [{ name: 'x', dtype: 'float32', shape: [4, 3] }],
    initializers: new Map([['w', tensorOf('float32', [3, 2], [1, 2, 3, 4, 5, 6])]]),
  };
  const model = { graph, irVersion: 8, opsets: { '': 17 }, producer: { name: 'kdx', version: '' }, metadata: {} };
  assert.equal(graphFlops(graph, modelShapes(model, {})), null);
});

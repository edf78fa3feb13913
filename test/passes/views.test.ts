/** Transposed and reshaped copies: made by a node, or read by a Gemm that is turned; the answers stay the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dtypeCodes, modelOf, tensor, type Graph, type Model, type Tensor } from '../../src/graph/index.ts';
import { foldInitializers } from '../../src/passes/index.ts';
import { graphOf, info, node } from '../onnx/samples.ts';
import { random, transposed } from './encoders.ts';
import { assertSameBits } from './same-bits.ts';

const table = random('table', [40, 24]);

function modelWith(parts: Partial<Graph>): Model {
  return modelOf(graphOf({ inputs: [info('x', ['n', 24])], ...parts }));
}

const xs = [1, 2, 7].map((rows) => new Map([['x', random(`x${rows}`, [rows, 24])]]));
const operators = ({ graph }: Model) => graph.nodes.map(({ opType }) => opType);

test('a matrix and its transpose: one is stored', async () => {
  const model = modelWith({
    initializers: new Map([
      ['table', table],
      ['turned', transposed(table)],
    ]),
    nodes: [node('MatMul', ['x', 'turned'], ['a']), node('MatMul', ['a', 'table'], ['y'])],
    outputs: [info('y', ['n', 24])],
  });
  const { model: folded, report } = foldInitializers(model);
  assert.deepEqual(operators(folded), ['Transpose', 'MatMul', 'MatMul']);
  assert.deepEqual([...folded.graph.initializers.keys()], ['table']);
  assert.deepEqual(report.groups[0]?.transposed, ['turned']);
  assert.equal(report.groups[0]?.savedBytes, 40 * 24 * 4);
  await assertSameBits(model, folded, xs);
  assert.equal(foldInitializers(model, { views: false }).model, model);
});

test('a Gemm is turned, and no node is needed', async () => {
  for (const transB of [0, 1]) {
    const first = random('first', [24, 24]);
    const model = modelWith({
      initializers: new Map<string, Tensor>([
        ['first', first],
        ['turned', transposed(first)],
        ['bias', random('bias', [24])],
      ]),
      nodes: [
        node('Gemm', ['x', 'turned', 'bias'], ['a'], { transB: { type: 'int', value: transB } }),
        node('Gemm', ['a', 'first'], ['y'], { alpha: { type: 'float', value: 0.5 } }),
      ],
      outputs: [info('y', ['n', 24])],
    });
    const { model: folded } = foldInitializers(model);
    assert.deepEqual(operators(folded), ['Gemm', 'Gemm']);
    assert.deepEqual(folded.graph.nodes[0]?.inputs, ['x', 'first', 'bias']);
    assert.deepEqual(folded.graph.nodes[0]?.attributes, transB ? {} : { transB: { type: 'int', value: 1 } });
    await assertSameBits(model, folded, xs);
  }
});

test('turning a Gemm gives the same bits for many sizes', async () => {
  for (const [inner, outer] of [
    [1, 300],
    [300, 1],
    [2, 129],
    [17, 31],
    [64, 64],
    [129, 5],
    [312, 3],
  ] as const) {
    const stored = random('stored', [outer, inner]);
    const model = modelOf(
      graphOf({
        inputs: [info('x', ['n', inner])],
        initializers: new Map<string, Tensor>([
          ['stored', stored],
          ['turned', transposed(stored)],
        ]),
        nodes: [node('Gemm', ['x', 'turned'], ['y']), node('Identity', ['stored'], ['z'])],
        outputs: [info('y', ['n', outer]), info('z', [outer, inner])],
      }),
    );
    const { model: folded } = foldInitializers(model);
    const isVector = inner === 1 || outer === 1;
    assert.deepEqual(operators(folded).includes('Reshape'), isVector && inner * outer * 4 >= 1024);
    const cases = [1, 2, 5, 33].map((rows) => new Map([['x', random(`x${rows}`, [rows, inner])]]));
    await assertSameBits(model, folded, cases);
  }
});

test('a Gemm that reads it otherwise too keeps a node', async () => {
  const square = random('square', [24, 24]);
  const model = modelWith({
    initializers: new Map([
      ['square', square],
      ['turned', transposed(square)],
    ]),
    nodes: [
      node('Gemm', ['turned', 'turned'], ['a']),
      node('MatMul', ['x', 'a'], ['b']),
      node('MatMul', ['b', 'square'], ['y']),
    ],
    outputs: [info('y', ['n', 24])],
  });
  const { model: folded } = foldInitializers(model);
  assert.deepEqual(folded.graph.nodes.map(({ inputs }) => inputs).slice(0, 2), [['square'], ['turned', 'square']]);
  await assertSameBits(model, folded, xs);
});

/** Transposed by its definition. */
function permuted({ dims, data }: Tensor<'float32'>, perm: readonly number[]): Tensor<'float32'> {
  const to = perm.map((axis) => dims[axis] as number);
  const values = Float32Array.from(data, (_, i) => {
    const index = to.map((_size, axis) => Math.floor(i / to.slice(axis + 1).reduce((a, b) => a * b, 1)) % to[axis]!);
    return data[dims.reduce((at, dim, axis) => at * dim + index[perm.indexOf(axis)]!, 0)] as number;
  });
  return tensor('float32', to, values);
}

test('any permutation, and any shape', async () => {
  const cube = random('cube', [5, 6, 7, 2]);
  const turned = [2, 0, 3, 1];
  const model = modelOf(
    graphOf({
      initializers: new Map<string, Tensor>([
        ['cube', cube],
        ['turned', permuted(cube, turned)],
        ['flat', tensor('float32', [420], cube.data.slice())],
        ['flat_shape', tensor('float32', [1], Float32Array.of(5))],
      ]),
      nodes: ['cube', 'turned', 'flat', 'flat_shape'].map((name) => node('Neg', [name], [`${name}_out`])),
      outputs: [
        info('cube_out', [5, 6, 7, 2]),
        info('turned_out', undefined),
        info('flat_out', [420]),
        info('flat_shape_out', [1]),
      ],
    }),
  );
  const { model: folded, report } = foldInitializers(model);
  assert.deepEqual([...folded.graph.initializers.keys()], ['cube', 'flat_shape', 'flat_shape_1']);
  const { transposed: views, reshaped } = report.groups[0] as (typeof report.groups)[number];
  assert.deepEqual([views, reshaped], [['turned'], ['flat']]);
  assert.deepEqual(folded.graph.nodes[1]?.attributes, { perm: { type: 'ints', value: turned } });
  await assertSameBits(model, folded, [new Map()]);
});

test('equal elements in another order are no view, nor are small tensors, outputs and int4', () => {
  const reversed = tensor('float32', [24, 40], table.data.slice().reverse());
  const small = random('small', [8, 8]);
  const nibbles = (dims: number[]) => tensor('int4', dims, new Uint8Array(2048).fill(0x21));
  const pairs: readonly [Tensor, Tensor, string[]][] = [
    [table, reversed, []],
    [small, transposed(small), []],
    [table, transposed(table), ['b']],
    [nibbles([64, 64]), nibbles([32, 128]), []],
  ];
  for (const [a, b, outputs] of pairs) {
    const model = modelOf(
      graphOf({
        initializers: new Map([
          ['a', a],
          ['b', b],
        ]),
        nodes: ['a', 'b'].map((name) => node('Identity', [name], [`${name}_out`])),
        outputs: ['a_out', 'b_out', ...outputs].map((name) => info(name, undefined, a.dtype)),
      }),
    );
    assert.equal(foldInitializers(model).model, model);
  }
});

test('elements of 1, 2 and 8 bytes', async () => {
  const [rows, columns] = [16, 80];
  const order = (isTurned: boolean) =>
    Array.from({ length: rows * columns }, (_, i) => (isTurned ? (i % rows) * columns + Math.floor(i / rows) : i));
  const make: Record<string, (indices: number[], dims: number[]) => Tensor> = {
    int8: (indices, dims) =>
      tensor(
        'int8',
        dims,
        Int8Array.from(indices, (i) => i * 7),
      ),
    float16: (indices, dims) => tensor('float16', dims, Uint16Array.from(indices)),
    float64: (indices, dims) => tensor('float64', dims, Float64Array.from(indices, Math.sqrt)),
  };
  for (const [dtype, makeTensor] of Object.entries(make)) {
    const [a, b] = [makeTensor(order(false), [rows, columns]), makeTensor(order(true), [columns, rows])];
    const model = modelOf(
      graphOf({
        initializers: new Map([
          ['a', a],
          ['b', b],
        ]),
        nodes: ['a', 'b'].map((name) =>
          node('Cast', [name], [`${name}_out`], { to: { type: 'int', value: dtypeCodes.float32 } }),
        ),
        outputs: [info('a_out', [rows, columns]), info('b_out', [columns, rows])],
      }),
    );
    const { model: folded } = foldInitializers(model);
    assert.deepEqual(operators(folded), ['Transpose', 'Cast', 'Cast'], dtype);
    await assertSameBits(model, folded, [new Map()]);
  }
});

/** Finding and rewriting: linear layers and tables in graphs as different exporters write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constantsOf } from '../../plugins/export/src/quantize/constants.ts';
import { findEmbeddingTables } from '../../plugins/export/src/quantize/embedding-tables.ts';
import { freshNames, rewriteGraph, standardNode } from '../../plugins/export/src/quantize/graph-rewrite.ts';
import { findLinearLayers } from '../../plugins/export/src/quantize/linear-layers.ts';
import { selectWeights } from '../../plugins/export/src/quantize/selection.ts';
import type { KdxError } from '../../src/errors/index.ts';
import {
  checkGraph,
  tensorOf,
  type Attribute,
  type Graph,
  type Node,
  type Tensor,
  type ValueInfo,
} from '../../src/graph/index.ts';

const int = (value: number): Attribute => ({ type: 'int', value });
const float = (value: number): Attribute => ({ type: 'float', value });
const ints = (...value: number[]): Attribute => ({ type: 'ints', value });
const zeros = (...dims: number[]): Tensor =>
  tensorOf('float32', dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)));

function graphOf(nodes: readonly Node[], initializers: Record<string, Tensor>, outputs = ['y']): Graph {
  const graph: Graph = {
    name: 'test',
    inputs: [
      { name: 'x', dtype: 'float32', shape: ['batch', 4] },
      { name: 'ids', dtype: 'int64', shape: ['batch'] },
    ],
    outputs: outputs.map((name) => ({ name, dtype: 'float32', shape: undefined })),
    initializers: new Map(Object.entries(initializers)),
    nodes,
    values: new Map(),
  };
  checkGraph(graph);
  return graph;
}

const found = (graph: Graph) =>
  findLinearLayers(graph).layers.map(({ input, weight, bias, add }) => ({
    input,
    weight: weight.name,
    transposed: weight.transposed,
    bias,
    add: add?.outputs[0],
  }));

test('MatMul with and without a bias of its own', () => {
  const nodes = [
    standardNode('MatMul', ['x', 'w'], ['a']),
    standardNode('Add', ['b', 'a'], ['c']),
    standardNode('MatMul', ['c', 'v'], ['d']),
    standardNode('Add', ['d', 'c'], ['y']),
  ];
  const layer = { input: 'x', weight: 'w', transposed: false, bias: 'b', add: 'c' };
  const plain = { input: 'c', weight: 'v', transposed: false, bias: undefined, add: undefined };
  for (const dims of [[4], [1, 4], [1, 1, 4]])
    assert.deepEqual(found(graphOf(nodes, { w: zeros(4, 4), b: zeros(...dims), v: zeros(4, 4) })), [layer, plain]);
  const scalar = graphOf(nodes, { w: zeros(4, 4), b: zeros(), v: zeros(4, 4) });
  assert.equal(found(scalar)[0]?.bias, undefined, 'a scalar is no bias of four');
});

test('a product that something else needs keeps its Add', () => {
  const nodes = [standardNode('MatMul', ['x', 'w'], ['a']), standardNode('Add', ['a', 'b'], ['y'])];
  const weights = { w: zeros(4, 4), b: zeros(4) };
  assert.equal(found(graphOf(nodes, weights))[0]?.bias, 'b');
  assert.equal(found(graphOf(nodes, weights, ['y', 'a']))[0]?.bias, undefined, 'an output');
  const twice = graphOf([...nodes, standardNode('Relu', ['a'], ['z'])], weights, ['y', 'z']);
  assert.equal(found(twice)[0]?.bias, undefined, 'read twice');
});

test('Gemm: transB is taken, what is no linear layer is refused with a reason', () => {
  const gemm = (attributes: Node['attributes'], inputs = ['x', 'w', 'b']) =>
    findLinearLayers(graphOf([standardNode('Gemm', inputs, ['y'], attributes)], { w: zeros(4, 4), b: zeros(4) }));
  const { layers } = gemm({ transB: int(1), alpha: float(1) });
  assert.deepEqual([layers[0]?.weight.transposed, layers[0]?.bias], [true, 'b']);
  assert.equal(gemm({ beta: float(0.5) }, ['x', 'w']).layers.length, 1, 'beta without a bias means nothing');
  const reasons: [Node['attributes'], RegExp][] = [
    [{ transA: int(1) }, /transA/],
    [{ alpha: float(2) }, /its alpha is 2, not 1/],
    [{ beta: float(0.5) }, /its beta is 0.5, not 1/],
  ];
  for (const [attributes, reason] of reasons) {
    const { layers, kept } = gemm(attributes);
    assert.equal(layers.length, 0);
    assert.match(kept[0]!.reason, reason);
  }
});

test('weights behind Constant, Identity and Transpose nodes', () => {
  const nodes = [
    standardNode('Constant', [], ['w'], { value: { type: 'tensor', value: zeros(4, 6) } }),
    standardNode('Identity', ['w'], ['same']),
    standardNode('Transpose', ['same'], ['turned'], { perm: ints(1, 0) }),
    standardNode('MatMul', ['x', 'same'], ['a']),
    standardNode('MatMul', ['a', 'turned'], ['y']),
  ];
  const layers = found(graphOf(nodes, {}));
  assert.deepEqual(
    layers.map(({ weight, transposed }) => [weight, transposed]),
    [
      ['w', false],
      ['w', true],
    ],
  );
});

test('products of activations, of other types and ranks are none', () => {
  const doubles = tensorOf('float64', [4, 4], new Float64Array(16));
  for (const [right, weight] of [
    ['w', doubles],
    ['w', zeros(2, 4, 4)],
    ['x', zeros(4, 4)],
  ] as const)
    assert.deepEqual(found(graphOf([standardNode('MatMul', ['x', right], ['y'])], { w: weight })), []);
  assert.deepEqual(found(graphOf([standardNode('MatMul', ['w', 'x'], ['y'])], { w: zeros(4, 4) })), []);
});

test('tables are looked up by Gather along axis 0 and by Slice of axis 0', () => {
  const index = (value: number) => tensorOf('int64', [1], [value]);
  const nodes = [
    standardNode('Gather', ['t', 'ids'], ['a']),
    standardNode('Gather', ['t', 'ids'], ['b'], { axis: int(0) }),
    standardNode('Gather', ['u', 'ids'], ['c'], { axis: int(1) }),
    standardNode('Slice', ['p', 'zero', 'two', 'zero'], ['d']),
    standardNode('Slice', ['q', 'zero', 'two', 'one'], ['e']),
    standardNode('Slice', ['q', 'zero', 'two'], ['f']),
  ];
  const tables = Object.fromEntries(['t', 'u', 'p', 'q'].map((name) => [name, zeros(5, 4)]));
  const graph = graphOf(nodes, { ...tables, zero: index(0), one: index(1), two: index(2) }, [...'abcdef']);
  assert.deepEqual(
    findEmbeddingTables(graph).map(({ name, lookups }) => [name, lookups.length]),
    [
      ['t', 2],
      ['p', 1],
    ],
  );
});

/** x → w → (shared) v → v → head, and a table that a Relu reads too. */
const encoder = graphOf(
  [
    standardNode('MatMul', ['x', 'v'], ['a']),
    standardNode('MatMul', ['a', 'v'], ['b']),
    standardNode('Gather', ['t', 'ids'], ['rows']),
    standardNode('Relu', ['t'], ['other']),
    standardNode('MatMul', ['b', 'w'], ['c']),
    standardNode('MatMul', ['c', 'head'], ['logits']),
    standardNode('Softmax', ['logits'], ['y']),
  ],
  { v: zeros(4, 4), w: zeros(4, 4), head: zeros(4, 2), t: zeros(5, 4) },
  ['y', 'rows', 'other'],
);

test('what is kept in float32, and why', () => {
  const select = (exclude: string[], keepHead = true) => {
    const { layers, kept } = selectWeights(encoder, constantsOf(encoder), { exclude, keepHead });
    return [layers.map(({ node }) => node.name), kept.map(({ node, reason }) => `${node}: ${reason}`)];
  };
  const table = 'rows: Relu other reads its weight too';
  assert.deepEqual(select([]), [
    ['a', 'b', 'c'],
    ['logits: classifier', table],
  ]);
  assert.deepEqual(select([], false), [['a', 'b', 'c', 'logits'], [table]]);
  assert.deepEqual(select(['b'], false)[0], ['c', 'logits'], 'a shared weight goes as a whole');
  assert.deepEqual(select(['*'])[0], []);
  assert.throws(
    () => select(['lagits']),
    (error: KdxError) => error.code === 'unknown-node' && error.suggestions[0] === 'exclude=logits',
  );
});

test('a wide head (word prediction) and one of several paths are no classifiers', () => {
  const wide = graphOf([standardNode('MatMul', ['x', 'w'], ['y'])], { w: zeros(4, 9) });
  const residual = graphOf([standardNode('MatMul', ['x', 'w'], ['a']), standardNode('Add', ['a', 'x'], ['y'])], {
    w: zeros(4, 2),
  });
  for (const graph of [wide, residual]) {
    const { layers } = selectWeights(graph, constantsOf(graph), { exclude: [], keepHead: true });
    assert.equal(layers.length, 1);
  }
});

test('a rewritten graph is in order, and holds nothing that is not read', () => {
  const infos = ['a', 'y'].map((name): [string, ValueInfo] => [name, { name, dtype: 'float32', shape: [] }]);
  const graph: Graph = { ...encoder, values: new Map(infos) };
  const [first] = graph.nodes as [Node];
  const fresh = freshNames(graph);
  assert.deepEqual([fresh('a'), fresh('a'), fresh('new'), fresh('head')], ['a_1', 'a_2', 'new', 'head_1']);
  const rewritten = rewriteGraph(graph, {
    nodes: new Map([
      [first, []],
      [graph.nodes[1]!, [standardNode('Neg', ['x'], ['n']), standardNode('MatMul', ['n', 'v_new'], ['b'])]],
    ]),
    initializers: new Map([
      ['v_new', zeros(4, 4)],
      ['unread', zeros(1)],
    ]),
  });
  checkGraph(rewritten);
  assert.deepEqual([...rewritten.initializers.keys()], ['w', 'head', 't', 'v_new']);
  assert.deepEqual([...rewritten.values.keys()], ['y']);
  assert.equal(encoder.nodes.length, 7, 'the graph it came from is as it was');
});

test('names of inner graphs are taken, and what they read is kept', () => {
  const inner: Graph = {
    name: 'inner',
    inputs: [],
    outputs: [{ name: 'i', dtype: 'float32', shape: undefined }],
    initializers: new Map(),
    nodes: [standardNode('Relu', ['w'], ['i'])],
    values: new Map(),
  };
  const nodes = [
    standardNode('MatMul', ['x', 'w'], ['a']),
    standardNode('If', ['yes'], ['b'], {
      then_branch: { type: 'graph', value: inner },
      else_branch: { type: 'graph', value: { ...inner, name: 'other' } },
    }),
    standardNode('Add', ['a', 'b'], ['y']),
  ];
  const graph = graphOf(nodes, { w: zeros(4, 4), yes: tensorOf('bool', [], [1]) });
  assert.equal(freshNames(graph)('i'), 'i_1');
  const { layers, kept } = selectWeights(graph, constantsOf(graph), { exclude: [], keepHead: true });
  assert.equal(layers.length, 0);
  assert.match(kept[0]!.reason, /If b reads its weight too/);
  assert.ok(rewriteGraph(graph, { nodes: new Map(), initializers: new Map() }).initializers.has('w'));
});

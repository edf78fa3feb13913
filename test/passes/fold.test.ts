/** Folding: what becomes one, what does not, and that the answers stay the same to the bit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelOf, printGraph, tensor, tensorOf, type Model, type Tensor } from '../../src/graph/index.ts';
import { encodeModel } from '../../src/onnx/index.ts';
import { foldInitializers, sharedWeights } from '../../src/passes/index.ts';
import { graphOf, info, linear, node } from '../onnx/samples.ts';
import { seeded } from '../support/seeded.ts';
import { encoder, random, small, uniqueBytes } from './encoders.ts';
import { assertSameBits } from './same-bits.ts';

const ids = (rows: number, length: number) => {
  const source = seeded(rows * 100 + length);
  const values = Array.from({ length: rows * length }, () => source.integer(small.vocabulary));
  return new Map([['input_ids', tensorOf('int64', [rows, length], values)]]);
};
const texts = [ids(1, 5), ids(3, 17)];

/** Scalars and the shapes of nothing: what is no weight but is stored. */
const slack = 100;

test('twelve copies of one layer, in every style of exporters, are one', async () => {
  const model = encoder(small, ['initializer', 'constant', 'transposed', 'constant', 'initializer']);
  const { model: folded, report } = foldInitializers(model);
  await assertSameBits(model, folded, texts);
  assert.ok(report.bytesBefore > 6 * report.bytesAfter, `${report.bytesBefore} to ${report.bytesAfter}`);
  assert.ok(report.bytesAfter - uniqueBytes(small) < slack, `${report.bytesAfter}, not ${uniqueBytes(small)}`);
  assert.equal(report.constants, 6 * 4 + 6);
  assert.equal(report.bytesBefore - report.bytesAfter, total(report.groups.map(({ savedBytes }) => savedBytes)));
  const query = report.groups.find(({ name }) => name === 'encoder.0.qry.weight');
  assert.equal(query?.equal.length, 10);
  assert.deepEqual(query.transposed, ['encoder.2.qry.weight', 'encoder.7.qry.weight']);
});

const total = (numbers: readonly number[]) => numbers.reduce((sum, value) => sum + value, 0);

test('twelve layers, one and four of them unique', async () => {
  for (const unique of [1, 4]) {
    const size = { ...small, unique };
    const model = encoder(size);
    const { model: folded, report } = foldInitializers(model);
    await assertSameBits(model, folded, texts);
    assert.ok(report.bytesAfter - uniqueBytes(size) < slack);
    assert.equal(folded.graph.nodes.length, model.graph.nodes.length);
    const { weights, savedBytes } = sharedWeights(folded.graph);
    const layer = weights.filter(({ uses }) => uses === 12 / unique);
    assert.equal(layer.length, 16 * unique);
    assert.ok(Math.abs(savedBytes - (report.bytesBefore - report.bytesAfter)) < slack * 12);
  }
});

test('nothing to fold: the same object, and it says so', () => {
  for (const model of [linear(), encoder({ ...small, layers: 1 }, ['initializer'])]) {
    const once = foldInitializers(model).model;
    const again = foldInitializers(once);
    assert.equal(again.model, once);
    assert.deepEqual(again.report.groups, []);
    assert.equal(again.report.bytesAfter, again.report.bytesBefore);
  }
  assert.equal(foldInitializers(linear()).model.graph.initializers.size, 2);
});

test('folding gives the same bytes each time, and folding twice changes nothing', () => {
  const make = () => foldInitializers(encoder(small, ['initializer', 'constant', 'transposed'])).model;
  assert.deepEqual(encodeModel(make()).bytes, encodeModel(make()).bytes);
  assert.equal(foldInitializers(make()).report.groups.length, 0);
});

/** An output for each tensor, equal to it. */
function adding(tensors: Readonly<Record<string, Tensor>>): Model {
  const names = Object.keys(tensors);
  return modelOf(
    graphOf({
      outputs: names.map((name) => ({ name: `${name}_out`, dtype: tensors[name]!.dtype, shape: tensors[name]!.dims })),
      initializers: new Map(Object.entries(tensors)),
      nodes: names.map((name) => node('Identity', [name], [`${name}_out`])),
    }),
  );
}

const floats = (...bits: number[]) => tensor('float32', [bits.length], new Float32Array(Uint32Array.from(bits).buffer));

const different: Record<string, readonly [Tensor, Tensor]> = {
  'minus zero and zero': [floats(0x80000000, 1), floats(0, 1)],
  'two payloads of NaN': [floats(0x7fc00000, 1), floats(0x7fc00001, 1)],
  'two types with the same bytes': [tensorOf('int32', [2], [0, 1]), floats(0, 1)],
  'two small types': [tensorOf('int8', [2], [1, 2]), tensorOf('uint8', [2], [1, 2])],
  'two half floats': [tensor('float16', [1], Uint16Array.of(1)), tensor('bfloat16', [1], Uint16Array.of(1))],
  'two shapes below the size of a view': [tensorOf('float32', [1, 2], [1, 2]), tensorOf('float32', [2], [1, 2])],
  'texts that join to the same': [tensor('string', [2], ['a', 'b,c']), tensor('string', [2], ['a,b', 'c'])],
};
for (const [name, [a, b]] of Object.entries(different))
  test(`not the same: ${name}`, () => {
    const model = adding({ a, b });
    assert.equal(foldInitializers(model).model, model);
  });

test('the same: bits of every type, NaN and strings too', () => {
  const pairs: Record<string, () => Tensor> = {
    nan: () => floats(0x7fc00001, 0x80000000),
    half: () => tensor('float16', [2], Uint16Array.of(0x7e01, 3)),
    packed: () => tensor('int4', [3], Uint8Array.of(0x21, 3)),
    text: () => tensor('string', [2], ['a', 'ß']),
    empty: () => tensorOf('float32', [0], []),
  };
  for (const [name, make] of Object.entries(pairs)) {
    const { model, report } = foldInitializers(adding({ a: make(), b: make() }));
    assert.deepEqual([...model.graph.initializers.keys()], ['a'], name);
    assert.deepEqual(report.groups.map(({ equal }) => equal).flat(), ['a', 'b']);
    assert.deepEqual(model.graph.nodes.map(({ inputs }) => inputs).flat(), ['a', 'a']);
  }
});

test('each kind of Constant becomes an initializer, but for outputs', async () => {
  const nodes = [
    node('Constant', [], ['a'], { value_float: { type: 'float', value: 2 } }),
    node('Constant', [], ['b'], { value_floats: { type: 'floats', value: [1, 2, -0] } }),
    node('Constant', [], ['c'], { value: { type: 'tensor', value: tensorOf('float32', [], [2]) } }),
    node('Constant', [], ['i'], { value_int: { type: 'int', value: 1 } }),
    node('Constant', [], ['l'], { value_ints: { type: 'ints', value: [3] } }),
    node('Constant', [], ['whole'], { value_ints: { type: 'ints', value: [3] } }),
    node('Add', ['b', 'a'], ['ba']),
    node('Mul', ['ba', 'c'], ['bac']),
    node('Gather', ['bac', 'i'], ['picked']),
    node('Expand', ['picked', 'l'], ['y']),
  ];
  const outputs = [info('y', [3]), info('whole', [1], 'int64')];
  const model = modelOf(graphOf({ nodes, outputs }));
  const { model: folded, report } = foldInitializers(model);
  assert.deepEqual([...folded.graph.initializers.keys()], ['a', 'b', 'i', 'l']);
  assert.deepEqual(
    folded.graph.nodes.map(({ opType }) => opType),
    ['Constant', 'Add', 'Mul', 'Gather', 'Expand'],
  );
  assert.equal(report.constants, 5);
  await assertSameBits(model, folded, [new Map()]);
});

test('outputs that are initializers keep their names', async () => {
  const make = () => random('w', [4]);
  const model = modelOf(
    graphOf({
      initializers: new Map([
        ['a', make()],
        ['b', make()],
        ['c', make()],
        ['d', make()],
      ]),
      nodes: [node('Add', ['a', 'd'], ['sum'])],
      outputs: [info('sum', [4]), info('b', [4]), info('c', [4])],
    }),
  );
  const { model: folded, report } = foldInitializers(model);
  assert.deepEqual([...folded.graph.initializers.keys()], ['b', 'c']);
  assert.deepEqual(folded.graph.nodes[0]?.inputs, ['b', 'b']);
  assert.deepEqual(report.groups[0]?.equal, ['a', 'b', 'd']);
  assert.equal(report.groups[0]?.savedBytes, report.bytesBefore - report.bytesAfter);
  await assertSameBits(model, folded, [new Map()]);
});

test('an initializer that an input may replace is not touched', () => {
  const model = adding({ a: random('w', [4]), b: random('w', [4]) });
  const overridable = { ...model, graph: { ...model.graph, inputs: [info('b', [4])] } };
  assert.equal(foldInitializers(overridable).model, overridable);
});

test('what no output depends on goes, inputs stay', () => {
  const { graph, ...rest } = linear();
  const model = {
    ...rest,
    graph: {
      ...graph,
      inputs: [...graph.inputs, info('unread', [1])],
      initializers: new Map([...graph.initializers, ['dead', random('dead', [9])]]),
      nodes: [...graph.nodes, node('Mul', ['dead', 'dead'], ['gone'])],
      values: new Map([...graph.values, ['gone', info('gone', [9])]]),
    },
  };
  const { model: folded, report } = foldInitializers(model);
  assert.equal(printGraph(folded.graph), printGraph({ ...graph, inputs: model.graph.inputs }));
  assert.ok(!folded.graph.values.has('gone'));
  assert.deepEqual([report.deadNodes, report.deadInitializers], [1, 1]);
  assert.equal(report.bytesBefore - report.bytesAfter, 36);
});

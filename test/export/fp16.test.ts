/** float16: the rounding, what stays in float32, and a whole encoder. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toFloat16 } from '../../plugins/export/src/quantize/float16.ts';
import { fp16 } from '../../plugins/export/src/quantize/fp16.ts';
import { toFloat32 } from '../../src/checkpoint/index.ts';
import { dtypeCodes, type Attribute, type Model, type Tensor } from '../../src/graph/index.ts';
import {
  agreement,
  branch,
  gaussian,
  operators,
  quantized,
  relativeRmse,
  runNode,
  runWeb,
  smallModel,
  tinyEncoder,
  withoutWeb,
} from './tiny-encoder.ts';

const vector = (...values: number[]): Tensor<'float32'> => ({
  dtype: 'float32',
  dims: [values.length],
  data: Float32Array.from(values),
});

const rounded = (...values: number[]) => [...toFloat32(toFloat16(vector(...values))).data];

test('every float16 number comes back', () => {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i).filter((half) => (half & 0x7c00) !== 0x7c00);
  const all: Tensor<'float16'> = { dtype: 'float16', dims: [bits.length], data: bits };
  assert.deepEqual(toFloat16(toFloat32(all)).data, bits);
});

test('rounding is that of ONNX Runtime', async () => {
  const x: Tensor<'float32'> = { dtype: 'float32', dims: [4000], data: new Float32Array(4000) };
  const normal = gaussian(1, [4000]).data;
  for (let i = 0; i < 4000; i++) x.data[i] = normal[i]! * 2 ** ((i % 31) - 22);
  for (let i = 0; i < 200; i++) x.data[i] = (2 * i + 1) * 2 ** -25 * (i % 2 ? -1 : 1);
  for (let i = 0; i < 200; i++) x.data[200 + i] = 1 + (2 * i + 1) * 2 ** -11;
  const to = (dtype: 'float16' | 'float32'): Readonly<Record<string, Attribute>> => ({
    to: { type: 'int', value: dtypeCodes[dtype] },
  });
  const there = smallModel({ x: ['n'] }, {}, [
    { opType: 'Cast', inputs: ['x'], outputs: ['h'], attributes: to('float16') },
    { opType: 'Cast', inputs: ['h'], outputs: ['y'], attributes: to('float32') },
  ]);
  const expected = await runNode(there, { x }, 'disabled');
  const found = toFloat32(toFloat16(x)).data;
  const lost = [...found.keys()].filter((i) => found[i] !== expected[i]);
  assert.ok(
    lost.every((i) => expected[i] === 0 && Math.abs(found[i]!) === 2 ** -24),
    'but what is not zero stays so',
  );
  assert.ok(lost.length > 0 && lost.length < 200);
});

test('clipped to the finite range; the smallest numbers are kept', () => {
  assert.deepEqual(rounded(65504, 65519, 65520, 1e9, Infinity, -3.4e38), [65504, 65504, 65504, 65504, 65504, -65504]);
  assert.deepEqual(rounded(1e-12, -1e-30, 2 ** -149, 0, -0), [2 ** -24, -(2 ** -24), 2 ** -24, 0, -0]);
  assert.deepEqual(rounded(Number.NaN), [Number.NaN]);
  assert.equal(rounded(1 + 2 ** -11)[0], 1, 'tie to even');
  assert.equal(rounded(1 + 3 * 2 ** -11)[0], 1 + 2 ** -9, 'tie to even');
});

/** Element type of every value of a model whose inputs of products are float16. */
function halves({ graph }: Model): Set<string> {
  const found = new Set([...graph.initializers].filter(([, { dtype }]) => dtype === 'float16').map(([name]) => name));
  for (const { opType, attributes, inputs, outputs } of graph.nodes) {
    const to = attributes['to'];
    const isHalf = opType === 'Cast' ? to?.type === 'int' && to.value === dtypeCodes.float16 : found.has(inputs[0]!);
    if (isHalf && opType !== 'Shape') outputs.forEach((name) => found.add(name));
  }
  return found;
}

test('a whole encoder: half the size, finite, the same answers in both runtimes', async (t) => {
  const { model, feeds } = await tinyEncoder(t);
  const expected = await runNode(model, feeds);
  for (const compute of ['float16', 'float32'] as const) {
    const result = await quantized(fp16, model, { compute });
    assert.equal(result.reported, result.measured, 'the report counts every byte');
    const bytesBefore = result.tensors.reduce((sum, tensor) => sum + tensor.bytesBefore, 0);
    const bytesAfter = result.tensors.reduce((sum, tensor) => sum + tensor.bytesAfter, 0);
    assert.equal(bytesAfter, bytesBefore / 2, 'nothing is stored twice');
    assert.deepEqual(result.model.graph.inputs, model.graph.inputs);
    assert.deepEqual(result.model.graph.outputs, model.graph.outputs, 'logits are float32');
    assert.deepEqual(result.model.opsets, { '': 17 });
    const products = result.model.graph.nodes.filter(({ opType }) => opType === 'MatMul');
    const half = halves(result.model);
    const wanted = compute === 'float16';
    for (const { inputs } of products) assert.ok(inputs.every((name) => half.has(name) === wanted));
    for (const run of [runNode, ...(withoutWeb ? [] : [runWeb])]) {
      const found = await run(result.model, feeds);
      assert.ok(found.every(Number.isFinite));
      const error = relativeRmse(found, expected);
      assert.ok(error > 1e-5 && error < 0.005, `${compute}: ${error}`);
      assert.equal(agreement(found, expected), 1);
    }
  }
});

test('activations, norms and softmax stay whole in float32, weights and their products do not', async (t) => {
  const { model } = await tinyEncoder(t);
  const result = await quantized(fp16, model);
  const half = halves(result.model);
  const inFloat32 = new Map<string, boolean>();
  for (const { opType, inputs } of result.model.graph.nodes)
    if (['LayerNormalization', 'Softmax', 'Erf', 'Tanh', 'Mul', 'Div', 'Gather', 'MatMul'].includes(opType))
      inFloat32.set(opType, (inFloat32.get(opType) ?? true) && !half.has(inputs[0]!));
  assert.deepEqual(
    [...inFloat32]
      .filter(([, is]) => is)
      .map(([opType]) => opType)
      .sort(),
    ['Div', 'Erf', 'LayerNormalization', 'Mul', 'Softmax', 'Tanh'],
  );
  const { Cast } = operators(result.model);
  assert.ok(Cast! < 4 * 11, `at most eleven casts per layer: ${Cast}`);
  const reasons = new Map(result.kept.map(({ opType, reason }) => [opType, reason]));
  assert.deepEqual([...reasons.keys()].sort(), ['Div', 'Erf', 'LayerNormalization', 'Mul', 'Softmax', 'Tanh']);
});

test('only tables as float16: rows are cast, not the table', async () => {
  const ids: Tensor<'int64'> = { dtype: 'int64', dims: [2], data: BigInt64Array.of(3n, 0n) };
  const table = gaussian(1, [8, 4]);
  const model = smallModel({ ids: ['n'] }, { table }, [
    { opType: 'Gather', inputs: ['table', 'ids'], outputs: ['rows'] },
    { opType: 'Erf', inputs: ['rows'], outputs: ['y'] },
  ]);
  const result = await quantized(fp16, model, { compute: 'float32' });
  assert.deepEqual(
    result.model.graph.nodes.map(({ opType }) => opType),
    ['Gather', 'Cast', 'Erf'],
  );
  assert.ok(relativeRmse(await runNode(result.model, { ids }), await runNode(model, { ids })) < 1e-3);
});

test('a norm in single steps, a mask of -3.4e38 and activations of 1000 stay finite', async () => {
  const axes: Attribute = { type: 'ints', value: [-1] };
  const scalar = (value: number): Tensor<'float32'> => ({ dtype: 'float32', dims: [], data: Float32Array.of(value) });
  const x = gaussian(1, [4, 16]);
  for (let i = 0; i < 16; i++) [x.data[i], x.data[16 + i]] = [1000 * x.data[i]!, 0];
  const model = smallModel(
    { x: ['rows', 16] },
    {
      W: gaussian(2, [16, 16]),
      V: gaussian(3, [16, 2]),
      two: scalar(2),
      epsilon: scalar(1e-12),
      mask: {
        dtype: 'float32',
        dims: [1, 16],
        data: Float32Array.from({ length: 16 }, (_, i) => (i > 9 ? -3.4e38 : 0)),
      },
    },
    [
      { opType: 'MatMul', inputs: ['x', 'W'], outputs: ['h'] },
      { opType: 'ReduceMean', inputs: ['h'], outputs: ['mean'], attributes: { axes } },
      { opType: 'Sub', inputs: ['h', 'mean'], outputs: ['centred'] },
      { opType: 'Pow', inputs: ['centred', 'two'], outputs: ['squares'] },
      { opType: 'ReduceMean', inputs: ['squares'], outputs: ['variance'], attributes: { axes } },
      { opType: 'Add', inputs: ['variance', 'epsilon'], outputs: ['positive'] },
      { opType: 'Sqrt', inputs: ['positive'], outputs: ['deviation'] },
      { opType: 'Div', inputs: ['centred', 'deviation'], outputs: ['normal'] },
      { opType: 'Add', inputs: ['normal', 'mask'], outputs: ['scores'] },
      {
        opType: 'Softmax',
        inputs: ['scores'],
        outputs: ['attention'],
        attributes: { axis: { type: 'int', value: -1 } },
      },
      { opType: 'MatMul', inputs: ['attention', 'V'], outputs: ['y'] },
    ],
  );
  const expected = await runNode(model, { x });
  const { model: half } = await quantized(fp16, model);
  for (const level of ['disabled', 'all'] as const) {
    const found = await runNode(half, { x }, level);
    assert.ok(found.every(Number.isFinite));
    assert.ok(relativeRmse(found, expected) < 0.01, level);
  }
});

test('values that branches read, shapes, and a bias that is also read in float32', async () => {
  const read = ['h', 'bias'];
  const model = smallModel(
    { x: ['rows', 8] },
    { W: gaussian(1, [8, 8]), bias: gaussian(2, [8]), yes: { dtype: 'bool', dims: [], data: Uint8Array.of(1) } },
    [
      { opType: 'MatMul', inputs: ['x', 'W'], outputs: ['product'] },
      { opType: 'Add', inputs: ['product', 'bias'], outputs: ['h'] },
      { opType: 'Shape', inputs: ['h'], outputs: ['shape'] },
      { opType: 'MatMul', inputs: ['h', 'W'], outputs: ['again'] },
      {
        opType: 'If',
        inputs: ['yes'],
        outputs: ['chosen'],
        attributes: { then_branch: branch('Add', read), else_branch: branch('Sub', read) },
      },
      { opType: 'Reshape', inputs: ['again', 'shape'], outputs: ['reshaped'] },
      { opType: 'Add', inputs: ['reshaped', 'chosen'], outputs: ['y'] },
    ],
  );
  const x = gaussian(3, [3, 8]);
  const result = await quantized(fp16, model);
  assert.equal(result.reported, result.measured);
  assert.equal(result.tensors.find(({ name }) => name === 'bias')?.bytesAfter, 16 + 32, 'stored in both');
  assert.ok(relativeRmse(await runNode(result.model, { x }), await runNode(model, { x })) < 2e-3);
});

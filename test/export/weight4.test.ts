/** Weights in 4-bit blocks: what ONNX Runtime reads out of them, and a whole encoder. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fittingBlock, packNBits, roundToBlocks } from '../../plugins/export/src/quantize/blocks.ts';
import { weight4 } from '../../plugins/export/src/quantize/weight4.ts';
import { tensorOf, type Attribute, type Tensor } from '../../src/graph/index.ts';
import {
  agreement,
  branch,
  dequantize,
  gaussian,
  identity,
  operators,
  product,
  quantized,
  relativeRmse,
  runNode,
  runWeb,
  smallModel,
  tinyEncoder,
  withoutWeb,
} from './tiny-encoder.ts';

const int = (value: number): Attribute => ({ type: 'int', value });

test('low half first, 8 added, N before K, the last block filled with zeros', () => {
  const column = Float32Array.from({ length: 18 }, (_, i) => (i < 16 ? i - 8 : 16 * (i - 17) + 8));
  const blocks = roundToBlocks(
    { dtype: 'float32', dims: [18, 1], data: column },
    { bits: 4, blockSize: 16, axis: 0 },
    'W',
  );
  assert.deepEqual([...blocks.scales.data], [1, 1]);
  const { packed, scales } = packNBits(blocks);
  assert.deepEqual(packed.dims, [1, 2, 8]);
  assert.deepEqual([...packed.data.subarray(0, 8)], [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
  assert.deepEqual([...packed.data.subarray(8)], [0xf0, ...Array<number>(7).fill(0x88)]);
  assert.deepEqual(scales.dims, [1, 2]);
});

test('the largest element is met with its sign, and its opposite is the next best', () => {
  for (const sign of [1, -1]) {
    const data = Float32Array.of(0.8 * sign, -0.8 * sign, 0.1 * sign, 0);
    const options = { bits: 4, blockSize: 16, axis: 0 } as const;
    const blocks = roundToBlocks({ dtype: 'float32', dims: [4, 1], data }, options, 'W');
    assert.deepEqual([...blocks.codes], [-8, 7, -1, 0]);
    assert.equal(dequantize(blocks)[0], data[0]);
  }
});

test('blocks of zeros and of numbers too small for a scale are zero; what is no number is refused', async () => {
  const data = new Float32Array(32 * 2);
  for (let row = 0; row < 32; row++) data[2 * row] = 1e-40;
  const weight: Tensor<'float32'> = { dtype: 'float32', dims: [32, 2], data };
  for (const form of ['portable', 'nbits']) {
    const { model } = await quantized(weight4, product(weight), { form, head: 'quantized' });
    assert.deepEqual(new Set(await runNode(model, { x: identity(32) })), new Set([0]), form);
  }
  data[5] = Number.NaN;
  await assert.rejects(async () => quantized(weight4, product(weight), { head: 'quantized' }), { code: 'not-finite' });
});

for (const [inputs, blockSize] of [
  [64, 32],
  [48, 32],
  [312, 32],
  [312, 128],
  [17, 16],
] as const)
  test(`ONNX Runtime reads the numbers that were meant: ${inputs} inputs in blocks of ${blockSize}`, async () => {
    const weight = gaussian(inputs, [inputs, 7]);
    const x = identity(inputs);
    for (const [form, block] of [
      ['portable', blockSize],
      ['nbits', fittingBlock(inputs, blockSize)],
    ] as const) {
      const expected = dequantize(roundToBlocks(weight, { bits: 4, blockSize: block, axis: 0 }, 'W'));
      const { model } = await quantized(weight4, product(weight), {
        form,
        blockSize,
        accuracyLevel: 0,
        head: 'quantized',
      });
      assert.deepEqual(await runNode(model, { x }, 'disabled'), expected, form);
      const fused = await runNode(model, { x: gaussian(2, [5, inputs]) });
      const apart = await runNode(model, { x: gaussian(2, [5, inputs]) }, 'disabled');
      assert.ok(relativeRmse(fused, apart) < 0.01, `${form}: activations in int8 at most`);
      if (!withoutWeb) assert.deepEqual(await runWeb(model, { x }), expected, `${form}, web`);
    }
  });

test('error of Gaussian weights by block size', () => {
  const weight = gaussian(1, [768, 256]);
  for (const [blockSize, expected] of [
    [16, 0.076],
    [32, 0.086],
    [128, 0.103],
  ] as const) {
    const error = relativeRmse(dequantize(roundToBlocks(weight, { bits: 4, blockSize, axis: 0 }, 'W')), weight.data);
    assert.ok(Math.abs(error / expected - 1) < 0.03, `${blockSize}: ${error}`);
  }
});

test('padding is kept below a sixteenth', () => {
  assert.deepEqual(
    [768, 312, 312, 1200, 16, 40].map((length, i) => fittingBlock(length, [32, 32, 128, 128, 32, 32][i]!)),
    [32, 32, 64, 64, 16, 16],
  );
});

test('Gemm, stored either way, with its bias', async () => {
  const weight = gaussian(3, [33, 6]);
  const turned = gaussian(0, [6, 33]);
  for (let k = 0; k < 33; k++) for (let n = 0; n < 6; n++) turned.data[n * 33 + k] = weight.data[k * 6 + n]!;
  const bias = gaussian(4, [6]);
  const x = gaussian(5, [4, 33]);
  const gemm = (W: Tensor, transB: number) =>
    smallModel({ x: ['rows', 33] }, { W, bias }, [
      { opType: 'Gemm', inputs: ['x', 'W', 'bias'], outputs: ['y'], attributes: { transB: int(transB) } },
    ]);
  const expected = dequantize(roundToBlocks(weight, { bits: 4, blockSize: 16, axis: 0 }, 'W'));
  const exact = await runNode(gemm({ ...weight, data: expected }, 0), { x });
  for (const form of ['portable', 'nbits'])
    for (const graph of [gemm(weight, 0), gemm(turned, 1)]) {
      const options = { form, blockSize: 16, accuracyLevel: 1, head: 'quantized' };
      const found = await runNode((await quantized(weight4, graph, options)).model, { x }, 'disabled');
      assert.ok(relativeRmse(found, exact) < 1e-6, form);
    }
});

test('a whole encoder: sizes, sharing, operators, and answers in both runtimes', async (t) => {
  const { model, feeds } = await tinyEncoder(t, { hidden_size: 72, intermediate_size: 136, num_attention_heads: 4 });
  const expected = await runNode(model, feeds);
  for (const [form, domain, opset] of [
    ['portable', '', 21],
    ['nbits', 'com.microsoft', 17],
  ] as const) {
    const embeddings = 'int8';
    const result = await quantized(weight4, model, { form, embeddings });
    assert.equal(result.reported, result.measured, 'the report counts every byte');
    assert.equal(result.tensors.length, 2 * 6 + 1 + 3, 'two sets of layers, pooler, tables');
    assert.equal(result.model.opsets[''], opset);
    assert.equal(result.model.irVersion, form === 'portable' ? 10 : 8);
    assert.equal(result.model.opsets['com.microsoft'], domain === '' ? undefined : 1);
    assert.deepEqual(
      result.kept.map(({ reason }) => reason),
      ['classifier'],
    );
    const counts = operators(result.model);
    if (form === 'portable') assert.equal(counts['DequantizeLinear'], 13, 'once per weight');
    else assert.equal(counts['com.microsoft.MatMulNBits'], 4 * 6 + 1);

    const found = await runNode(result.model, feeds);
    const error = relativeRmse(found, expected);
    assert.ok(error > 0.02 && error < 0.35, `${form}: ${error}`);
    assert.equal(agreement(found, expected, 0.5), 1, `${form}: clear answers stay`);
    if (!withoutWeb) assert.ok(relativeRmse(await runWeb(result.model, feeds), found) < 0.02);
  }
});

test('both forms hold the same numbers', async (t) => {
  const { model, feeds } = await tinyEncoder(t, { hidden_size: 64, intermediate_size: 128 });
  const run = async (options: Readonly<Record<string, unknown>>) =>
    runNode((await quantized(weight4, model, options)).model, feeds, 'disabled');
  const portable = await run({ form: 'portable', embeddings: 'none' });
  const nbits = await run({ form: 'nbits', embeddings: 'none', accuracyLevel: 1 });
  assert.ok(relativeRmse(nbits, portable) < 1e-5);
});

test('operators that changed before opset 21 are rewritten', async () => {
  const weight = gaussian(1, [32, 8]);
  const axes: Attribute = { type: 'ints', value: [1] };
  const before = smallModel({ x: ['rows', 32] }, { W: weight, bias: gaussian(2, [8]) }, [
    { opType: 'MatMul', inputs: ['x', 'W'], outputs: ['h'] },
    { opType: 'Split', inputs: ['h'], outputs: ['a', 'b'], attributes: { axis: int(1) } },
    { opType: 'ReduceMean', inputs: ['a'], outputs: ['mean'], attributes: { axes } },
    { opType: 'ReduceMax', inputs: ['b'], outputs: ['max'], attributes: { axes, keepdims: int(1) } },
    { opType: 'Add', inputs: ['mean', 'max'], outputs: ['y'] },
  ]);
  const { model } = await quantized(weight4, before, { head: 'quantized' });
  assert.equal(model.opsets[''], 21);
  const feeds = { x: gaussian(3, [3, 32]) };
  const found = await runNode(model, feeds);
  assert.equal(found.length, 3);
  assert.ok(relativeRmse(found, await runNode(before, feeds)) < 0.2);
});

test('operators inside of branches too', async () => {
  const axes: Attribute = { type: 'ints', value: [1] };
  const before = smallModel(
    { x: ['rows', 32] },
    { W: gaussian(1, [32, 64]), yes: { dtype: 'bool', dims: [], data: Uint8Array.of(1) } },
    [
      { opType: 'MatMul', inputs: ['x', 'W'], outputs: ['h'] },
      {
        opType: 'If',
        inputs: ['yes'],
        outputs: ['y'],
        attributes: {
          then_branch: branch('ReduceMax', ['h'], { axes }),
          else_branch: branch('ReduceMin', ['h'], { axes }),
        },
      },
    ],
  );
  const feeds = { x: gaussian(3, [3, 32]) };
  const found = await runNode((await quantized(weight4, before)).model, feeds);
  assert.ok(relativeRmse(found, await runNode(before, feeds)) < 0.2);
});

test('models that cannot be raised are refused, or take the other form', async () => {
  const initializers = {
    W: gaussian(1, [32, 8]),
    grid: gaussian(2, [1, 2, 2, 2]),
    to: tensorOf('int64', [4], [1, 1, 4, 8]),
  };
  const nodes = [
    { opType: 'MatMul', inputs: ['x', 'W'], outputs: ['h'] },
    { opType: 'Reshape', inputs: ['h', 'to'], outputs: ['image'] },
    { opType: 'GridSample', inputs: ['image', 'grid'], outputs: ['y'] },
  ];
  const sampling = smallModel({ x: [4, 32] }, initializers, nodes);
  await assert.rejects(async () => quantized(weight4, sampling), {
    code: 'opset-change',
    message: /\(GridSample\).* opset 20/,
  });
  assert.equal((await quantized(weight4, sampling, { form: 'nbits' })).model.opsets[''], 17);
  const old = { ...product(gaussian(1, [32, 64])), opsets: { '': 12 } };
  await assert.rejects(async () => quantized(weight4, old), { code: 'opset-too-old', message: /is of ONNX opset 12/ });
});

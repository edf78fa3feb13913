/** Weight-only int8: what ONNX Runtime reads out of the weights, and a whole encoder. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { InferenceSession } from 'onnxruntime-node';
import { fittingBlock, roundToBlocks } from '../../plugins/export/src/quantize/blocks.ts';
import { weight8 } from '../../plugins/export/src/quantize/weight8.ts';
import type { Tensor } from '../../src/graph/index.ts';
import { encodeModel, readModel } from '../../src/onnx/index.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';
import {
  agreement,
  dequantize,
  gaussian,
  identity,
  operators,
  product,
  quantized,
  relativeRmse,
  runNode,
  runWeb,
  tinyEncoder,
  withoutWeb,
} from './tiny-encoder.ts';

test('portable: ONNX Runtime reads code times scale of the column', async () => {
  for (const opset of [13, 17, 21]) {
    const { model } = await quantized(weight8, product(gaussian(1, [312, 7]), opset), { head: 'quantized' });
    assert.equal(model.opsets[''], opset);
    const codes = model.graph.initializers.get('W_quantized') as Tensor<'int8'>;
    const scales = model.graph.initializers.get('W_scale') as Tensor<'float32'>;
    assert.deepEqual([codes.dims, scales.dims], [[312, 7], [7]]);
    const expected = Float32Array.from(codes.data, (code, i) => code * scales.data[i % 7]!);
    assert.deepEqual(await runNode(model, { x: identity(312) }, 'disabled'), expected);
    const x = gaussian(2, [5, 312]);
    assert.ok(relativeRmse(await runNode(model, { x }), await runNode(model, { x }, 'disabled')) < 0.01);
  }
});

for (const [inputs, blockSize] of [
  [64, 32],
  [312, 128],
  [1200, 256],
  [17, 16],
] as const)
  test(`nbits: the numbers that were meant, ${inputs} inputs in blocks of ${blockSize}`, async () => {
    const weight = gaussian(inputs, [inputs, 5]);
    const options = { bits: 8, blockSize: fittingBlock(inputs, blockSize), axis: 0 } as const;
    const expected = dequantize(roundToBlocks(weight, options, 'W'));
    const x = identity(inputs);
    const { model } = await quantized(weight8, product(weight), {
      form: 'nbits',
      blockSize,
      accuracyLevel: 1,
      head: 'quantized',
    });
    assert.deepEqual(await runNode(model, { x }), expected);
    if (!withoutWeb) assert.deepEqual(await runWeb(model, { x }), expected, 'web');
  });

/** Gaussian columns of 768: largest |w| about 3.2 σ, so a step of 3.2 σ / 127 and an error of step / √12. */
test('error of Gaussian weights', async () => {
  const weight = gaussian(1, [768, 256]);
  const { model } = await quantized(weight8, product(weight), { head: 'quantized' });
  const codes = model.graph.initializers.get('W_quantized') as Tensor<'int8'>;
  const scales = model.graph.initializers.get('W_scale') as Tensor<'float32'>;
  const error = relativeRmse(
    Float32Array.from(codes.data, (code, i) => code * scales.data[i % 256]!),
    weight.data,
  );
  assert.ok(error > 0.006 && error < 0.009, `per channel: ${error}`);
  const blocks = relativeRmse(dequantize(roundToBlocks(weight, { bits: 8, blockSize: 32, axis: 0 }, 'W')), weight.data);
  assert.ok(blocks > 0.004 && blocks < 0.006, `blocks of 32: ${blocks}`);
});

test('a whole encoder: sizes, sharing, operators, and answers in both runtimes', async (t) => {
  const { model, feeds } = await tinyEncoder(t);
  const expected = await runNode(model, feeds);
  for (const [form, embeddings] of [
    ['portable', 'int8'],
    ['portable', 'none'],
    ['nbits', 'int8-blocks'],
  ] as const) {
    const result = await quantized(weight8, model, { form, embeddings });
    assert.equal(result.reported, result.measured, 'the report counts every byte');
    const tables = embeddings === 'none' ? 0 : 3;
    assert.equal(result.tensors.length, 2 * 6 + 1 + tables, 'two sets of layers, pooler, tables');
    assert.equal(result.kept.length, 1 + (3 - tables));
    assert.equal(result.model.irVersion, 8);
    const counts = operators(result.model);
    if (form === 'portable') {
      assert.deepEqual(result.model.opsets, { '': 17 });
      assert.equal(counts['DequantizeLinear'], 13, 'once per weight');
    } else {
      assert.deepEqual(result.model.opsets, { '': 17, 'com.microsoft': 1 });
      assert.equal(counts['com.microsoft.MatMulNBits'], 4 * 6 + 1);
    }
    const found = await runNode(result.model, feeds);
    const error = relativeRmse(found, expected);
    assert.ok(error > 0.001 && error < 0.04, `${form}: ${error}`);
    assert.equal(agreement(found, expected), 1, form);
    if (!withoutWeb) {
      const web = await runWeb(result.model, feeds);
      assert.ok(relativeRmse(web, expected) < 0.04);
      assert.equal(agreement(web, expected), 1, 'web');
    }
  }
});

/** ONNX Runtime 1.30 leaves weights that several layers read to DequantizeLinear, once per layer and run. */
test('the portable form becomes MatMulNBits at load where no weight is shared', async (t) => {
  const dir = await temporaryFolder(t);
  for (const [plan, fused] of [
    [[0, 1], 13],
    [[0, 0], 1],
  ] as const) {
    const { model } = await tinyEncoder(t, { num_hidden_layers: 2, kdx_layer_plan: plan });
    const optimizedModelFilePath = join(dir, `${plan.join('')}.onnx`);
    const { bytes } = encodeModel((await quantized(weight8, model)).model);
    const options = { optimizedModelFilePath, intraOpNumThreads: 1, logSeverityLevel: 3 } as const;
    await (await InferenceSession.create(bytes, options)).release();
    const counts = operators(await readModel(optimizedModelFilePath));
    assert.equal(counts['com.microsoft.MatMulNBits'], fused, plan.join());
  }
});

test('what stays float is said, and excluded weights stay as they are', async (t) => {
  const { model } = await tinyEncoder(t);
  const name = 'bert.encoder.layer.1.output.dense.weight';
  const result = await quantized(weight8, model, { exclude: [name], head: 'quantized' });
  assert.deepEqual(
    result.kept.map(({ opType, reason }) => `${opType} ${reason}`),
    ['MatMul excluded', 'MatMul excluded'],
    'both layers that share it',
  );
  assert.equal(result.model.graph.initializers.get(name), model.graph.initializers.get(name));
  assert.ok(result.tensors.some((tensor) => tensor.name === 'classifier.weight'));
  assert.throws(() => weight8.options.parse({ blockSize: 48 }), /blockSize/);
});

test('a scale per channel needs opset 13', async () => {
  await assert.rejects(async () => quantized(weight8, product(gaussian(1, [32, 64]), 12)), { code: 'opset-too-old' });
  const nbits = await quantized(weight8, product(gaussian(1, [32, 64]), 12), { form: 'nbits' });
  assert.equal(nbits.model.opsets[''], 12);
});

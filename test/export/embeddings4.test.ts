/** Embedding tables in blocks: the rows that ONNX Runtime looks up, and how small whole students get. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roundToBlocks } from '../../plugins/export/src/quantize/blocks.ts';
import { weight8 } from '../../plugins/export/src/quantize/weight8.ts';
import { parseConfig } from '../../src/checkpoint/index.ts';
import { classifierModel } from '../../src/classifier/index.ts';
import { elementCount, type Tensor } from '../../src/graph/index.ts';
import { encodeModel } from '../../src/onnx/index.ts';
import { classifierParameters, type BertArchitecture, type Parameter } from '../../src/nn/index.ts';
import {
  agreement,
  dequantize,
  gaussian,
  operators,
  quantized,
  relativeRmse,
  runNode,
  runWeb,
  smallModel,
  tinyEncoder,
  weightBytes,
  withoutWeb,
} from './tiny-encoder.ts';

const rowsOf = (table: Tensor<'float32'>) =>
  smallModel({ ids: ['batch', 'length'] }, { table }, [{ opType: 'Gather', inputs: ['table', 'ids'], outputs: ['y'] }]);

/** Without -0. */
const plain = (values: Float32Array) => values.map((value) => value + 0);

const ids: Tensor<'int64'> = { dtype: 'int64', dims: [2, 3], data: BigInt64Array.of(99n, 0n, 7n, 7n, 50n, 98n) };

for (const [width, block] of [
  [64, 32],
  [768, 128],
  [312, 32],
  [312, 16],
  [312, 256],
  [33, 16],
] as const)
  test(`ONNX Runtime looks up the numbers that were meant: width ${width} in blocks of ${block}`, async () => {
    const table = gaussian(width, [100, width]);
    for (const [bits, embeddings] of [
      [4, 'int4'],
      [8, 'int8-blocks'],
    ] as const) {
      const all = dequantize(roundToBlocks(table, { bits, blockSize: block, axis: 1 }, 'table'));
      const expected = Float32Array.from(
        [...ids.data].flatMap((id) => [...all.subarray(Number(id) * width, (Number(id) + 1) * width)]),
      );
      const { model, tensors } = await quantized(weight8, rowsOf(table), { embeddings, embeddingBlock: block });
      assert.deepEqual(operators(model), { 'com.microsoft.GatherBlockQuantized': 1 }, 'no dequantized table');
      assert.equal(model.irVersion, bits === 4 ? 10 : 8);
      assert.deepEqual(tensors, [
        {
          name: 'table',
          as: `int${bits} in blocks of ${block}`,
          bytesBefore: 400 * width,
          bytesAfter: (100 * width * bits) / 8 + 400 * Math.ceil(width / block),
        },
      ]);
      assert.deepEqual(plain(await runNode(model, { ids })), expected, embeddings);
      if (!withoutWeb) assert.deepEqual(plain(await runWeb(model, { ids })), expected, `${embeddings}, web`);
    }
  });

test('error of Gaussian rows by bits and block size', () => {
  const table = gaussian(1, [300, 768]);
  for (const [bits, blockSize, expected] of [
    [4, 16, 0.076],
    [4, 32, 0.086],
    [4, 128, 0.103],
    [8, 32, 0.0053],
    [8, 128, 0.0064],
  ] as const) {
    const error = relativeRmse(dequantize(roundToBlocks(table, { bits, blockSize, axis: 1 }, 'table')), table.data);
    assert.ok(Math.abs(error / expected - 1) < 0.06, `${bits} bits, ${blockSize}: ${error}`);
  }
});

test('only large tables that are looked up by index; one that is also multiplied with stays float', async () => {
  const types = await quantized(weight8, rowsOf(gaussian(1, [2, 64])), { embeddings: 'int4' });
  assert.equal(types.tensors[0]?.as, 'int8 per row');
  const tied = smallModel({ ids: ['n'], x: ['n', 100] }, { table: gaussian(2, [100, 64]) }, [
    { opType: 'Gather', inputs: ['table', 'ids'], outputs: ['rows'] },
    { opType: 'MatMul', inputs: ['x', 'table'], outputs: ['h'] },
    { opType: 'Add', inputs: ['rows', 'h'], outputs: ['y'] },
  ]);
  const { tensors, kept, model } = await quantized(weight8, tied, { embeddings: 'int4', head: 'quantized' });
  assert.deepEqual(tensors, []);
  assert.deepEqual(kept.map(({ opType }) => opType).sort(), ['Gather', 'MatMul']);
  assert.deepEqual(model.graph.nodes, tied.graph.nodes);
});

test('a whole encoder with 4-bit words', async (t) => {
  const { model, feeds } = await tinyEncoder(t);
  const expected = await runNode(model, feeds);
  for (const [embeddings, as, worst] of [
    ['int4', 'int4 in blocks of 32', 0.2],
    ['int8-blocks', 'int8 in blocks of 32', 0.04],
  ] as const) {
    const result = await quantized(weight8, model, { embeddings });
    assert.equal(result.reported, result.measured, 'the report counts every byte');
    assert.deepEqual(
      result.tensors.filter(({ name }) => name.includes('embeddings')).map((tensor) => tensor.as),
      [as, 'int8 per row', 'int8 per row'],
      'words; types and sliced positions',
    );
    const found = await runNode(result.model, feeds);
    assert.ok(relativeRmse(found, expected) < worst, `${embeddings}: ${relativeRmse(found, expected)}`);
    assert.equal(agreement(found, expected, 0.25), 1);
    if (!withoutWeb) assert.ok(relativeRmse(await runWeb(result.model, feeds), found) < 0.02);
  }
});

/** Weight bytes of a classifier with int8 layers and 4-bit words in blocks of 32, from shapes alone. */
function expectedBytes(parameters: readonly Parameter[]): number {
  const bytes = ({ name, shape }: Parameter): number => {
    const [rows, columns] = shape as [number, number];
    if (name.includes('word_embeddings')) return (rows * columns) / 2 + 4 * rows * Math.ceil(columns / 32);
    if (name.includes('embeddings.weight')) return rows * columns + 4 * rows;
    if (shape.length === 2 && name !== 'classifier.weight') return rows * columns + 4 * columns;
    return 4 * elementCount(shape);
  };
  return parameters.reduce((sum, parameter) => sum + bytes(parameter), 0);
}

const bert = (json: Readonly<Record<string, unknown>>): BertArchitecture =>
  parseConfig({ model_type: 'bert', vocab_size: 30522, max_position_embeddings: 512, ...json }, 'config.json');

const small = bert({ hidden_size: 312, intermediate_size: 1200, num_hidden_layers: 4, num_attention_heads: 12 });
const shared = bert({
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 6,
  num_attention_heads: 12,
  kdx_layer_plan: [0, 1, 2, 0, 1, 2],
});

test('sizes: 4x312 is at most 11.5 MB, 6x768 with three unique layers at most 40 MB', async () => {
  const parameters = classifierParameters(small, 2);
  const weights = new Map(parameters.map(({ name, shape }, i) => [name, waves(i, shape)]));
  const result = await weight8.quantize(
    classifierModel(small, 2, weights),
    weight8.options.parse({ embeddings: 'int4' }),
  );
  const size = encodeModel(result.model).bytes.length;
  const constants = weightBytes(result.model) - expectedBytes(parameters);
  assert.ok(constants >= 0 && constants < 1000, `shapes, scalars and axes: ${constants}`);
  assert.ok(size <= 11.5e6, `4x312: ${size}`);

  const graph = size - weightBytes(result.model);
  assert.ok(graph < 60e3, `nodes and names: ${graph}`);
  const large = expectedBytes(classifierParameters(shared, 2));
  assert.ok(large + 2 * graph <= 40e6, `6x768, 3 unique layers: ${large}`);
  assert.ok(large > 36e6, 'no layer is missing');
});

/** Cheap numbers that are not all the same. */
function waves(seed: number, dims: readonly number[]): Tensor<'float32'> {
  const data = new Float32Array(elementCount(dims));
  for (let i = 0; i < data.length; i++) data[i] = ((Math.imul(i + seed, 0x9e3779b1) >>> 8) / 2 ** 24 - 0.5) * 0.1;
  return { dtype: 'float32', dims, data };
}

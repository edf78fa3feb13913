/** A small encoder, its quantized forms and their answers: in this process by onnxruntime-node and by its build for the web. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Blocks } from '../../plugins/export/src/quantize/blocks.ts';
import type { Quantizer } from '../../plugins/export/src/quantize/quantizer.ts';
import { paritySentences } from '../../plugins/export/src/index.ts';
import { checkpointModel, openSource } from '../../src/classifier/index.ts';
import { byteLength, checkGraph, elementCount } from '../../src/graph/index.ts';
import type { Attribute, Graph, Model, Node, Tensor } from '../../src/graph/index.ts';
import { decodeModel, encodeModel } from '../../src/onnx/index.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

const web = await import('onnxruntime-web').catch(() => undefined);
if (web) Object.assign(web.env, { logLevel: 'error' }).wasm.numThreads = 1;
export const withoutWeb = web === undefined && 'onnxruntime-web is not installed';

export interface TinyEncoder {
  readonly model: Model;
  /** input_ids, attention_mask, token_type_ids of sentences, int64 [sentences, length] */
  readonly feeds: Readonly<Record<string, Tensor<'int64'>>>;
}

/** Four layers on two sets of weights; widths that are no multiples of a block. */
export async function tinyEncoder(
  t: TestContext,
  config: Readonly<Record<string, unknown>> = {},
): Promise<TinyEncoder> {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, {
    config: {
      hidden_size: 40,
      intermediate_size: 72,
      num_hidden_layers: 4,
      kdx_layer_plan: [0, 1, 0, 1],
      num_attention_heads: 4,
      initializer_range: 0.2,
      ...config,
    },
  });
  const { checkpoint, tokenizer } = await openSource(dir);
  assert.ok(checkpoint);
  const encoded = paritySentences.map(({ text, pair }) => tokenizer.encode(text, pair, 64));
  const length = Math.max(...encoded.map(({ ids }) => ids.length));
  const padded = (pick: (sentence: (typeof encoded)[number], i: number) => number | undefined): Tensor<'int64'> => ({
    dtype: 'int64',
    dims: [encoded.length, length],
    data: BigInt64Array.from(
      encoded.flatMap((sentence) => Array.from({ length }, (_, i) => BigInt(pick(sentence, i) ?? 0))),
    ),
  });
  return {
    model: checkpointModel(checkpoint),
    feeds: {
      input_ids: padded(({ ids }, i) => ids[i]),
      attention_mask: padded(({ ids }, i) => (i < ids.length ? 1 : 0)),
      token_type_ids: padded(({ typeIds }, i) => typeIds[i]),
    },
  };
}

type Level = 'disabled' | 'all';

/** The first output of a model by onnxruntime-node. */
export async function runNode(model: Model, feeds: Readonly<Record<string, Tensor>>, level: Level = 'all') {
  const session = await InferenceSession.create(encodeModel(model).bytes, {
    intraOpNumThreads: 1,
    graphOptimizationLevel: level,
    logSeverityLevel: 3,
  });
  const made = Object.entries(feeds).map(([name, { dtype, data, dims }]) => [
    name,
    new OrtTensor(dtype as 'float32', data as Float32Array, dims),
  ]);
  const results = await session.run(Object.fromEntries(made) as Record<string, OrtTensor>);
  await session.release();
  return results[session.outputNames[0] as string]!.data as Float32Array;
}

/** The same by the WebAssembly build. */
export async function runWeb(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<Float32Array> {
  assert.ok(web);
  const session = await web.InferenceSession.create(encodeModel(model).bytes, { executionProviders: ['wasm'] });
  const made = Object.entries(feeds).map(([name, { dtype, data, dims }]) => [
    name,
    new web.Tensor(dtype as 'float32', data as Float32Array, dims),
  ]);
  const results = await session.run(Object.fromEntries(made) as never);
  await session.release();
  return results[session.outputNames[0] as string]!.data as Float32Array;
}

/** A quantized model with its report, checked, and read back from its file. */
export async function quantized(quantizer: Quantizer, model: Model, options: Readonly<Record<string, unknown>> = {}) {
  const parsed = quantizer.options.parse(options);
  const result = await quantizer.quantize(model, parsed);
  checkGraph(result.model.graph);
  const { bytes } = encodeModel(result.model);
  assert.equal(
    sha256(bytes),
    sha256(encodeModel((await quantizer.quantize(model, parsed)).model).bytes),
    'the same bytes',
  );
  assert.equal(sha256(encodeModel(decodeModel(bytes)).bytes), sha256(bytes), 'the file can be read');
  const before = weightBytes(model);
  const saved = result.tensors.reduce((sum, { bytesBefore, bytesAfter }) => sum + bytesBefore - bytesAfter, 0);
  return { ...result, size: bytes.length, reported: before - saved, measured: weightBytes(result.model) };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes of all initializers. */
export function weightBytes({ graph }: Model): number {
  return [...graph.initializers.values()].reduce((sum, { dtype, dims }) => sum + byteLength(dtype, dims), 0);
}

/** How often an operator occurs, by its name with its domain. */
export function operators({ graph }: Model): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { domain, opType } of graph.nodes) {
    const name = domain ? `${domain}.${opType}` : opType;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** √(Σ(found - expected)² / Σ expected²) */
export function relativeRmse(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length);
  let [error, energy] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (found[i]! - expected[i]!) ** 2;
    energy += expected[i]! ** 2;
  }
  return Math.sqrt(error / energy);
}

/** Share of the rows of two logits, apart by at least `margin`, whose larger one is at the same place. */
export function agreement(found: ArrayLike<number>, expected: ArrayLike<number>, margin = 0): number {
  const lead = (logits: ArrayLike<number>, row: number) => logits[2 * row]! - logits[2 * row + 1]!;
  const all = Array.from({ length: expected.length / 2 }, (_, row) => row);
  const rows = all.filter((row) => Math.abs(lead(expected, row)) >= margin);
  assert.ok(rows.length > 10, 'enough sentences');
  return rows.filter((row) => lead(found, row) > 0 === lead(expected, row) > 0).length / rows.length;
}

/** A model of a few nodes: float32 inputs (or int64 ones, by `ids`) and the output `y`. */
export function smallModel(
  inputs: Readonly<Record<string, readonly (number | string)[]>>,
  initializers: Readonly<Record<string, Tensor>>,
  nodes: readonly (Omit<Node, 'name' | 'domain' | 'attributes'> & Partial<Node>)[],
  opset = 17,
): Model {
  return modelOf(
    {
      name: 'small',
      inputs: Object.entries(inputs).map(([name, shape]) => ({
        name,
        dtype: name === 'ids' ? 'int64' : 'float32',
        shape,
      })),
      outputs: [{ name: 'y', dtype: 'float32', shape: undefined }],
      initializers: new Map(Object.entries(initializers)),
      nodes: nodes.map((node) => ({ name: node.outputs[0] as string, domain: '', attributes: {}, ...node })),
      values: new Map(),
    },
    opset,
  );
}

/** y = x · W with W [inputs, outputs]. */
export function product(weight: Tensor<'float32'>, opset?: number): Model {
  const node = { opType: 'MatMul', inputs: ['x', 'W'], outputs: ['y'] };
  return smallModel({ x: ['rows', weight.dims[0]!] }, { W: weight }, [node], opset);
}

/** A branch of an If: one operator, whose output is its own. */
export function branch(opType: string, inputs: readonly string[], attributes: Node['attributes'] = {}): Attribute {
  const output = `${opType}_y`;
  return {
    type: 'graph',
    value: {
      name: opType,
      inputs: [],
      outputs: [{ name: output, dtype: 'float32', shape: undefined }],
      initializers: new Map(),
      nodes: [{ name: '', domain: '', opType, inputs, outputs: [output], attributes }],
      values: new Map(),
    },
  };
}

function modelOf(graph: Graph, opset: number): Model {
  return { graph, irVersion: 8, opsets: { '': opset }, producer: { name: 'test', version: '' }, metadata: {} };
}

/** Normal numbers. */
export function gaussian(seed: number, dims: readonly number[]): Tensor<'float32'> {
  const { float } = seeded(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - float())) * Math.cos(2 * Math.PI * float());
  return { dtype: 'float32', dims, data: Float32Array.from({ length: elementCount(dims) }, normal) };
}

/** The identity matrix: what a product with it gives is the weight as the runtime sees it. */
export function identity(size: number): Tensor<'float32'> {
  const data = Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  return { dtype: 'float32', dims: [size, size], data };
}

/** code · scale in float32, in the layout of the matrix; 0 is never -0, as in a sum of products. */
export function dequantize({ axis, blockSize, dims: [, columns], codes, scales }: Blocks): Float32Array {
  const perRow = scales.dims[1] as number;
  return Float32Array.from(codes, (code, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const at =
      axis === 0 ? Math.floor(row / blockSize) * perRow + column : row * perRow + Math.floor(column / blockSize);
    return code * scales.data[at]! + 0;
  });
}

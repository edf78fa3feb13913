/** kdx inspect on quantized files: of kdx's own quantizers, of onnxruntime's, and by hand. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fp16 } from '../../plugins/export/src/quantize/fp16.ts';
import { int8 } from '../../plugins/export/src/quantize/int8.ts';
import type { Quantizer } from '../../plugins/export/src/quantize/quantizer.ts';
import { weight4 } from '../../plugins/export/src/quantize/weight4.ts';
import { weight8 } from '../../plugins/export/src/quantize/weight8.ts';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import { checkpointModel } from '../../src/classifier/index.ts';
import { inspectOnnx } from '../../src/commands/onnx-inspection.ts';
import { inspectQuantization, type WeightGroup } from '../../src/commands/quantization-inspection.ts';
import { modelOf, tensor, tensorOf, type Graph, type Model, type Node, type Tensor } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

const [hidden, inner] = [32, 64];
/** Linear layers of four runs of two stored layers, and the pooler. */
const [layers, stored] = [4 * 6 + 1, 2 * 6 + 1];
const elements = 2 * (4 * hidden * hidden + 2 * hidden * inner) + hidden * hidden;
const outputs = 2 * (5 * hidden + inner) + hidden;
const rows = 300 + 160 + 2;

async function sharedModel(t: TestContext): Promise<Model> {
  const dir = await temporaryFolder(t);
  const shape = { hidden_size: hidden, intermediate_size: inner, num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] };
  await writeTinyClassifier(dir, { config: shape });
  return checkpointModel(await loadCheckpoint(dir));
}

async function inspected(t: TestContext, model: Model) {
  const file = join(await temporaryFolder(t), 'model.onnx');
  await writeModel(file, model);
  return inspectOnnx(file);
}

async function quantized(t: TestContext, quantizer: Quantizer, options: Readonly<Record<string, unknown>> = {}) {
  const { model } = await quantizer.quantize(await sharedModel(t), quantizer.options.parse(options));
  return inspected(t, model);
}

const head: WeightGroup = {
  kind: 'linear',
  as: 'float32',
  activations: 'float',
  nodes: 1,
  weights: 1,
  bytes: 4 * 2 * hidden,
};

const tables: WeightGroup = { kind: 'table', as: 'int8 per row', nodes: 3, weights: 3, bytes: rows * (hidden + 4) };

test('int8: layers that share a weight, embeddings per row, the classifier on top', async (t) => {
  const { quantization, shared, runtime } = await quantized(t, int8);
  assert.deepEqual(quantization.groups, [
    {
      kind: 'linear',
      as: 'int8 per channel',
      activations: 'dynamic',
      nodes: layers,
      weights: stored,
      bytes: elements + 4 * outputs,
    },
    head,
    tables,
  ]);
  const query = quantization.weights.find(({ name }) => /layer\.0\.attention\.self\.query\.weight/.test(name));
  assert.deepEqual(query?.nodes.length, 2);
  assert.equal(query.granularity, 'channel');
  assert.deepEqual(query.dims, [hidden, hidden]);
  assert.deepEqual(quantization.floatNodes, [
    { node: 'classifier/MatMul', opType: 'MatMul', reason: 'classifier on top', source: 'graph' },
  ]);
  assert.deepEqual(quantization.saturation, { columns: outputs, saturating: 0, weights: [] });
  assert.ok(shared.weights.some(({ name, uses }) => name === query.name && uses === 2));
  assert.ok(shared.savedBytes > 4 * hidden * hidden);

  assert.ok(runtime?.optimized, runtime?.failure);
  const { fused, unfusedProducts, dequantizedEachRun } = runtime.optimized;
  const products = ['DynamicQuantizeMatMul', 'MatMulIntegerToFloat'].map((name) => fused[`com.microsoft.${name}`] ?? 0);
  assert.equal(products[0]! + products[1]!, layers);
  assert.deepEqual(unfusedProducts, []);
  assert.deepEqual(dequantizedEachRun, []);
  assert.ok(
    runtime.notes.includes(`none of the ${outputs} int8 columns can saturate: the same answers on any processor`),
  );
});

test('int8 with 8 bits in every column: those that can saturate', async (t) => {
  const { quantization } = await quantized(t, int8, { weightBits: 8 });
  const { saturating, weights } = quantization.saturation!;
  assert.ok(saturating > 0 && saturating < outputs, String(saturating));
  assert.ok(weights.length > 0 && weights.length <= stored);
});

const weightOnly: readonly {
  readonly quantizer: Quantizer;
  readonly options: Readonly<Record<string, unknown>>;
  readonly linear: Partial<WeightGroup>;
  readonly table: string;
}[] = [
  {
    quantizer: weight8,
    options: {},
    linear: { as: 'int8 per channel', activations: 'float', bytes: elements + 4 * outputs },
    table: 'int8 per row',
  },
  {
    quantizer: weight8,
    options: { form: 'nbits', blockSize: 16, embeddings: 'int8-blocks' },
    linear: { as: 'int8 in blocks of 16', activations: 'dynamic', bytes: elements + elements / 4 },
    table: 'int8 in blocks of 32',
  },
  {
    quantizer: weight4,
    options: { blockSize: 16 },
    linear: { as: 'int4 in blocks of 16', activations: 'float', bytes: elements / 2 + elements / 4 },
    table: 'int8 per row',
  },
  {
    quantizer: weight4,
    options: { form: 'nbits', blockSize: 16, accuracyLevel: 1 },
    linear: { as: 'int4 in blocks of 16', activations: 'float', bytes: elements / 2 + elements / 4 },
    table: 'int4 in blocks of 32',
  },
];

for (const { quantizer, options, linear, table } of weightOnly)
  test(`${quantizer.name} ${JSON.stringify(options)}`, async (t) => {
    const { quantization, runtime, shared } = await quantized(t, quantizer, options);
    const [group, top, largestTable] = quantization.groups;
    assert.deepEqual(group, { kind: 'linear', nodes: layers, weights: stored, ...linear });
    assert.deepEqual(top, head);
    assert.equal(largestTable?.as, table);
    assert.equal(quantization.saturation, undefined);
    assert.ok(shared.weights.some(({ name, uses }) => /query\.weight_quantized/.test(name) && uses === 2));
    assert.ok(runtime?.optimized, runtime?.failure);
    const { operators, dequantizedEachRun } = runtime.optimized;
    const slow = quantization.weights.filter(({ name }) => dequantizedEachRun.includes(name));
    const slowNodes = slow.reduce((sum, { nodes }) => sum + nodes.length, 0);
    assert.equal(slowNodes + (operators['com.microsoft.MatMulNBits'] ?? 0), layers);
    assert.ok(runtime.notes.some((note) => note.includes('save space, not time')));
  });

test('fp16', async (t) => {
  const { quantization, runtime } = await quantized(t, fp16);
  assert.deepEqual(
    quantization.groups.map(({ kind, as, nodes }) => [kind, as, nodes]),
    [
      ['linear', 'float16', layers + 1],
      ['table', 'float16', 3],
    ],
  );
  assert.ok(runtime?.notes.some((note) => note.startsWith('float16 weights are converted')));
});

test('a float file: nothing stayed float, as nothing is quantized', async (t) => {
  const { quantization, shared, runtime } = await inspected(t, await sharedModel(t));
  assert.deepEqual(
    quantization.groups.map(({ kind, as, nodes, weights }) => [kind, as, nodes, weights]),
    [
      ['linear', 'float32', layers + 1, stored + 1],
      ['table', 'float32', 3, 3],
    ],
  );
  assert.deepEqual(quantization.floatNodes, []);
  assert.equal(shared.weights[0]!.uses, 2);
  assert.ok(runtime?.optimized);
  assert.equal(quantization.scheme, undefined);
});

const golden = (name: string) => fileURLToPath(new URL(`../../fixtures/golden/inspect/${name}.onnx`, import.meta.url));

test('a file of quantize_dynamic', async () => {
  const { quantization, runtime } = await inspectOnnx(golden('dynamic'));
  assert.deepEqual(
    quantization.weights.map(({ name, as, activations, nodes }) => [name, as, activations, nodes]),
    [
      ['second.table_quantized', 'uint8 per tensor', undefined, ['second.lookup']],
      ['table_quantized', 'uint8', undefined, ['lookup']],
      // Rows of the table are multiplied as they are stored.
      ['first.weight_quantized', 'int8 per tensor', 'static', ['first_quant']],
      ['second.weight', 'float32', 'float', ['second']],
      ['top.weight_quantized', 'int8 per tensor', 'dynamic', ['top_MatMul_quant']],
    ],
  );
  const bytes = (name: string) => quantization.weights.find((weight) => weight.name === name)?.bytes;
  assert.equal(bytes('second.table_quantized'), 40 * 16 + 4 + 1);
  assert.equal(bytes('first.weight_quantized'), 16 * 24 + 4 + 1);
  assert.deepEqual(quantization.floatNodes, [{ node: 'second', opType: 'MatMul' }]);
  assert.deepEqual(runtime?.optimized?.unfusedProducts, ['first_quant']);
  assert.equal(runtime.optimized.fused['com.microsoft.DynamicQuantizeMatMul'], 1);
});

test('a file of quantize_static: QuantizeLinear and DequantizeLinear around everything', async () => {
  const { quantization, runtime } = await inspectOnnx(golden('static'));
  assert.deepEqual(
    quantization.weights.map(({ name, as, activations }) => [name, as, activations]),
    [
      ['table', 'float32', undefined],
      ['first.weight_quantized', 'int8 per channel', 'static'],
      ['second.table', 'float32', undefined],
      ['second.weight', 'float32', 'float'],
      ['top.weight_quantized', 'int8 per channel', 'static'],
    ].sort(byFirstUse(quantization.weights.map(({ name }) => name))),
  );
  assert.deepEqual(
    new Map(quantization.floatNodes.map(({ node, reason }) => [node, reason])),
    new Map([
      ['lookup', 'no table of the file is quantized'],
      ['second.lookup', 'no table of the file is quantized'],
      ['second', undefined],
    ]),
  );
  assert.equal(quantization.saturation?.columns, 24 + 2);
  assert.deepEqual(runtime?.optimized?.unfusedProducts, []);
  assert.equal(runtime.optimized.fused['QLinearMatMul'], 1);
});

/** The order of independent nodes is the reader's. */
function byFirstUse(names: readonly string[]) {
  return ([a]: readonly unknown[], [b]: readonly unknown[]) => names.indexOf(a as string) - names.indexOf(b as string);
}

let normal: (dims: readonly number[]) => Tensor<'float32'>;
before(() => {
  const random = seeded(1);
  normal = (dims) => {
    const length = dims.reduce((product, dim) => product * dim, 1);
    return tensor(
      'float32',
      dims,
      Float32Array.from({ length }, () => random.float() - 0.5),
    );
  };
});

function graphOf(
  initializers: Readonly<Record<string, Tensor>>,
  nodes: readonly (readonly [string, string, string])[],
) {
  return {
    name: 'small',
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 8] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: undefined }],
    initializers: new Map(Object.entries(initializers)),
    nodes: nodes.map(([opType, inputs, made]): Node => ({
      name: made.split(' ')[0]!,
      opType,
      domain: '',
      inputs: inputs.split(' '),
      outputs: made.split(' '),
      attributes: opType === 'Cast' ? { to: { type: 'int', value: 1 } } : {},
    })),
    values: new Map(),
  } satisfies Graph;
}

/** x · W with integers, where W is `codes`, from the value `from` to the value `to`. */
const integerLayer = (from: string, to: string): [string, string, string][] => [
  ['DynamicQuantizeLinear', from, 'xq xs xz'],
  ['MatMulInteger', 'xq codes xz', 'sum'],
  ['Cast', 'sum', 'float'],
  ['Mul', 'xs scales', 'scale'],
  ['Mul', 'float scale', to],
];

test('outlier columns beside an integer product are a part of it', () => {
  const graph = graphOf(
    {
      codes: tensorOf('int8', [8, 4], new Array<number>(32).fill(3)),
      scales: tensorOf('float32', [4], [1, 1, 1, 1]),
      mask: tensorOf('float32', [8], [1, 1, 1, 1, 1, 1, 0, 0]),
      few: normal([2, 4]),
      picked: tensorOf('int64', [2], [6, 7]),
      bias: normal([4]),
      next: normal([4, 4]),
    },
    [
      ['Mul', 'x mask', 'rest'],
      ...integerLayer('rest', 'product'),
      ['Gather', 'x picked', 'outliers'],
      ['MatMul', 'outliers few', 'correction'],
      ['Add', 'product correction', 'whole'],
      ['Add', 'whole bias', 'hidden'],
      // A residual sum is no correction.
      ['MatMul', 'hidden next', 'float2'],
      ['Add', 'float2 hidden', 'y'],
    ],
  );
  const { weights, floatNodes } = inspectQuantization(graph, undefined);
  assert.deepEqual(
    weights.map(({ name, kind, as, activations }) => [name, kind, as, activations]),
    [
      ['codes', 'linear', 'int8 per channel', 'dynamic'],
      ['few', 'correction', 'float32', 'float'],
      ['next', 'linear', 'float32', 'float'],
    ],
  );
  assert.deepEqual(
    floatNodes.map(({ node }) => node),
    ['float2'],
  );
});

test('an integer product with a second reader is not fused', async (t) => {
  const graph = graphOf(
    {
      codes: tensorOf('int8', [8, 4], new Array<number>(32).fill(3)),
      scales: tensorOf('float32', [4], [1, 1, 1, 1]),
    },
    [...integerLayer('x', 'product'), ['Add', 'product float', 'y']],
  );
  const { runtime } = await inspected(t, modelOf(graph));
  assert.deepEqual(runtime?.optimized?.unfusedProducts, ['sum']);
});

test('a table that is dequantized whole in every run', async (t) => {
  const small = graphOf(
    {
      codes: tensorOf('int8', [8, 4], new Array<number>(32).fill(3)),
      scale: tensorOf('float32', [], [0.5]),
      zero: tensorOf('float32', [], [0]),
    },
    [
      ['DequantizeLinear', 'codes scale', 'table'],
      ['Gather', 'table ids', 'y'],
    ],
  );
  const graph: Graph = { ...small, inputs: [{ name: 'ids', dtype: 'int64', shape: ['n'] }] };
  const { runtime, quantization } = await inspected(t, modelOf(graph));
  assert.deepEqual(runtime?.optimized?.dequantizedEachRun, ['codes']);
  assert.equal(quantization.weights[0]?.as, 'int8 per tensor');
  assert.equal(quantization.weights[0].kind, 'table');
});

test('pairs of rows saturate, whichever way the weight is stored', () => {
  // Columns: a pair of 130, one of 130 across two pairs, one of opposite signs, one of 128.
  const columns = [
    [65, 65, 0, 0],
    [0, 65, 65, 0],
    [100, -100, 0, 0],
    [0, 0, -64, -64],
  ];
  const codes = tensorOf(
    'int8',
    [4, 4],
    [0, 1, 2, 3].flatMap((k) => columns.map((column) => column[k]!)),
  );
  const scales = tensorOf('float32', [4], [1, 1, 1, 1]);
  const plain = graphOf({ codes, scales }, integerLayer('x', 'y'));
  const turned = graphOf({ codes: tensorOf('int8', [4, 4], columns.flat()), scales }, [
    ['Transpose', 'codes', 'turned'],
    ...integerLayer('x', 'y').map(([op, inputs, made]) => [op, inputs.replace('codes', 'turned'), made] as const),
  ]);
  for (const graph of [plain, turned])
    assert.deepEqual(inspectQuantization(graph, undefined).saturation, {
      columns: 4,
      saturating: 1,
      weights: ['codes'],
    });
});

test('reasons that the graph gives', () => {
  const gemm = (transA: number): Graph['nodes'][number]['attributes'] => ({ transA: { type: 'int', value: transA } });
  const small = graphOf(
    {
      codes: tensorOf('int8', [8, 8], new Array<number>(64).fill(3)),
      scales: tensorOf('float32', [1], [1]),
      turned: normal([8, 8]),
      shifted: normal([8, 8]),
      one: tensorOf('float32', [], [1]),
      both: normal([8, 8]),
      head: normal([8, 2]),
    },
    [
      ...integerLayer('x', 'a'),
      ['Gemm', 'a turned', 'b'],
      ['Add', 'shifted one', 'computed'],
      ['MatMul', 'b computed', 'c'],
      ['MatMul', 'c both', 'd'],
      ['Add', 'd both', 'e'],
      ['MatMul', 'e head', 'f'],
      ['Softmax', 'f', 'y'],
    ],
  );
  const graph = {
    ...small,
    nodes: small.nodes.map((node) => (node.opType === 'Gemm' ? { ...node, attributes: gemm(1) } : node)),
  };
  assert.deepEqual(
    inspectQuantization(graph, undefined).floatNodes.map(({ node, reason }) => [node, reason]),
    [
      ['b', 'transA of its Gemm is 1'],
      ['c', 'its weight is computed by Add computed'],
      ['d', 'Add e reads its weight too'],
      ['f', 'classifier on top'],
    ],
  );
});

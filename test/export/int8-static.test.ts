/** Static int8: the graph, its numbers, what ONNX Runtime makes of it, mixed precision by sensitivity. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import {
  calibrationMethods,
  calibrationOf,
  paritySentences,
  type Calibration,
  type CalibrationText,
} from '../../plugins/export/src/index.ts';
import { rewriteGraph, standardNode } from '../../plugins/export/src/quantize/graph-rewrite.ts';
import { int8Static } from '../../plugins/export/src/quantize/int8-static.ts';
import { checkpointModel, openSource } from '../../src/classifier/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import type { KdxError } from '../../src/errors/index.ts';
import { checkGraph, tensor, type Model, type Tensor } from '../../src/graph/index.ts';
import { encodeModel, readModel } from '../../src/onnx/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import {
  gaussian,
  operators,
  relativeRmse,
  runNode,
  runWeb,
  smallModel,
  tinyEncoder,
  weightBytes,
  withoutWeb,
} from './tiny-encoder.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

const parse = (options: Record<string, unknown> = {}) => int8Static.options.parse(options);

async function openTiny(t: TestContext, config: Record<string, unknown> = {}) {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { config });
  const source = await openSource(dir);
  const calibrate = (texts: readonly CalibrationText[] = paritySentences): Calibration =>
    calibrationOf(source, texts, { engine, progress: silentProgress, signal: new AbortController().signal });
  return { model: checkpointModel(source.checkpoint!), calibrate };
}

/** A calibration that feeds `x`. */
function feeding(...runs: Tensor<'float32'>[]): Calibration {
  return {
    sentences: runs.length,
    async observe(model, names, visit) {
      const outputs = names.map((name) => ({ name, dtype: 'float32' as const, shape: undefined }));
      const graph = rewriteGraph({ ...model.graph, outputs }, { nodes: new Map(), initializers: new Map() });
      const session = await engine.createSession({ ...model, graph });
      for (const x of runs) {
        const found = await session.run({ feeds: session.inputs.length > 0 ? { x } : {}, fetch: names });
        visit(new Map(Object.entries(found)) as Map<string, Tensor<'float32'>>);
      }
      await session.release();
    },
  };
}

async function optimized(t: TestContext, model: Model): Promise<Record<string, number>> {
  const path = join(await temporaryFolder(t), 'optimized.onnx');
  await (await engine.createSession(model, { optimization: 'extended', optimizedModelPath: path })).release();
  return operators(await readModel(path));
}

test('standard operators around each layer; one scale per activation, classifier and tables as in int8', async (t) => {
  const { model, calibrate } = await openTiny(t);
  const { model: small, tensors, kept } = await int8Static.quantize(model, parse(), calibrate());
  checkGraph(small.graph);
  const { QuantizeLinear, DequantizeLinear } = operators(small);
  // Two layers with four quantized activations each, and the pooler's; 13 weights; the pooler's bias.
  assert.deepEqual([QuantizeLinear, DequantizeLinear], [9, 9 + 13 + 1]);
  assert.ok(small.graph.nodes.every(({ domain }) => domain === ''));
  assert.deepEqual(
    kept.map(({ node, reason }) => `${node}: ${reason}`),
    ['classifier/MatMul: classifier'],
  );
  assert.equal(tensors.filter(({ as }) => as.startsWith('int8 per channel')).length, 13);
  assert.equal(tensors.filter(({ as }) => as === 'int8 per row').length, 3);
  const scales = [...small.graph.initializers].filter(
    ([, { dims, dtype }]) => dtype === 'float32' && dims.length === 0,
  );
  assert.ok(scales.filter(([name]) => name.endsWith('_scale')).every(([, { data }]) => (data[0] as number) > 0));
});

test('ONNX Runtime multiplies integers in every layer, also where layers share weights', async (t) => {
  for (const [plan, layers] of [
    [[0, 1], 12],
    [[0, 1, 0, 1], 24],
  ] as const) {
    const { model, calibrate } = await openTiny(t, { num_hidden_layers: plan.length, kdx_layer_plan: plan });
    const { model: small, tensors } = await int8Static.quantize(model, parse(), calibrate());
    const found = await optimized(t, small);
    assert.equal(found['com.microsoft.MatMulIntegerToFloat'], layers);
    assert.equal(found['com.microsoft.QGemm'], 1, 'the pooler');
    assert.equal(found['DequantizeLinear'], undefined, 'nothing is dequantized at run time');
    assert.equal(tensors.length, 3 + 13, 'a shared weight is stored once');
    const codes = [...small.graph.initializers].filter(([, { dtype, dims }]) => dtype === 'int8' && dims.length === 2);
    assert.equal(codes.length, tensors.length);
  }
});

/** The encoder of `tinyEncoder`, with its calibration. */
async function openEncoder(t: TestContext) {
  const { model, feeds } = await tinyEncoder(t);
  const { calibrate } = await openTiny(t, {
    hidden_size: 40,
    intermediate_size: 72,
    num_hidden_layers: 4,
    kdx_layer_plan: [0, 1, 0, 1],
    num_attention_heads: 4,
    initializer_range: 0.2,
  });
  return { model, feeds, calibration: calibrate() };
}

test('numbers are near those of the float model, with each method', async (t) => {
  const { model, feeds, calibration } = await openEncoder(t);
  const expected = await runNode(model, feeds);
  for (const method of calibrationMethods) {
    const { model: small } = await int8Static.quantize(model, parse({ calibration: method }), calibration);
    const error = relativeRmse(await runNode(small, feeds), expected);
    assert.ok(error > 1e-3 && error < 0.1, `${method}: ${error}`);
    // Without optimizers the operators are computed one by one: the graph means what ONNX Runtime makes of it.
    const plain = relativeRmse(await runNode(small, feeds, 'disabled'), expected);
    assert.ok(Math.abs(plain - error) < 0.02, `${method}: ${plain}, ${error}`);
  }
});

test('the WebAssembly build answers the same', { skip: withoutWeb }, async (t) => {
  const { model, feeds, calibration } = await openEncoder(t);
  const { model: small } = await int8Static.quantize(model, parse(), calibration);
  assert.ok(relativeRmse(await runWeb(small, feeds), await runNode(small, feeds)) < 0.02);
});

test('each product is within the bound of its rounding; Gemm and matrices of activations too', async () => {
  const [rows, inputs, columns] = [7, 33, 21];
  const w = gaussian(2, [inputs, columns]);
  const b = gaussian(3, [columns]);
  const turned = tensor(
    'float32',
    [columns, inputs],
    Float32Array.from({ length: w.data.length }, (_, i) => w.data[(i % inputs) * columns + Math.floor(i / inputs)]!),
  );
  const gemm = { transB: { type: 'int', value: 1 } } as const;
  const add = [standardNode('MatMul', ['x', 'w'], ['p']), standardNode('Add', ['b', 'p'], ['y'])];
  const huge = tensor('float32', [columns], new Float32Array(columns).fill(1e9));
  const cases: [name: string, dims: number[], Parameters<typeof smallModel>[2], Record<string, Tensor>, string][] = [
    ['MatMul, Add', [1, rows, inputs], add, { w, b }, 'MatMul'],
    ['of a matrix', [rows, inputs], add, { w, b }, 'Gemm'],
    ['Gemm', [rows, inputs], [standardNode('Gemm', ['x', 'v', 'b'], ['y'], gemm)], { v: turned, b }, 'Gemm'],
    ['no bias', [rows, inputs], [standardNode('Gemm', ['x', 'v'], ['y'], gemm)], { v: turned }, 'MatMul'],
    ['bias beyond int32', [rows, inputs], add, { w, b: huge }, 'MatMul'],
  ];
  for (const [name, dims, nodes, weights, operator] of cases) {
    const x = gaussian(1, dims);
    const float = smallModel({ x: dims.map((_, i) => `d${i}`).with(-1, inputs as never) }, weights, nodes);
    const result = await int8Static.quantize(float, parse({ head: 'int8', calibration: 'minmax' }), feeding(x));
    assert.equal(operators(result.model)[operator], 1, name);
    const [expected, found] = [await runNode(float, { x }), await runNode(result.model, { x })];
    const step = (Math.max(...x.data) - Math.min(...x.data)) / 255;
    for (let i = 0; i < expected.length; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      const column_ = Array.from({ length: inputs }, (_, k) => w.data[k * columns + column]!);
      // At least 64 levels; the bias rounded to the step of the sums.
      const weightStep = Math.max(...column_.map(Math.abs)) / 64;
      let bound = 1e-4 + step * weightStep + Math.abs(expected[i]!) * 2e-7;
      for (let k = 0; k < inputs; k++)
        bound += (Math.abs(x.data[row * inputs + k]!) + step) * (weightStep / 2) + Math.abs(column_[k]!) * step;
      assert.ok(Math.abs(expected[i]! - found[i]!) <= bound, `${name}, ${i}: ${expected[i]}, ${found[i]}`);
    }
  }
});

test('the same sentences give the same bytes, others give others; the model is left as it was', async (t) => {
  const { model, calibrate } = await openTiny(t);
  const before = encodeModel(model).bytes;
  const bytes = async (texts?: readonly CalibrationText[]) =>
    encodeModel((await int8Static.quantize(model, parse({ keepFloat: 1 }), calibrate(texts))).model).bytes;
  const first = await bytes();
  assert.deepEqual(await bytes(), first);
  assert.notDeepEqual(await bytes(paritySentences.slice(0, 6)), first);
  assert.deepEqual(encodeModel(model).bytes, before);
});

test('an excluded layer stays float, and its activation too; tables may stay', async (t) => {
  const { model, calibrate } = await openTiny(t);
  const exclude = ['*layer.0.intermediate*'];
  const { model: small, kept } = await int8Static.quantize(model, parse({ exclude, embeddings: 'none' }), calibrate());
  assert.deepEqual(
    kept.filter(({ reason }) => reason === 'excluded').map(({ opType }) => opType),
    ['MatMul'],
  );
  assert.equal(operators(small)['QuantizeLinear'], 8);
  assert.ok(small.graph.initializers.has('bert.encoder.layer.0.intermediate.dense.weight'));
  assert.equal(kept.filter(({ reason }) => reason === 'embeddings=none').length, 3);
  assert.ok(weightBytes(small) > weightBytes((await int8Static.quantize(model, parse(), calibrate())).model));
});

/** A chain of layers; one of them has a column so large beside a small one that the activation behind it loses its levels. */
function plantedModel(bad: number): { model: Model; x: Tensor<'float32'> } {
  const size = 16;
  const weights: Record<string, Tensor> = {};
  const nodes = Array.from({ length: 4 }, (_, i) => {
    const w = gaussian(10 + i, [size, size]);
    // What the next layer reads has one channel 300 times the others, of which that layer takes almost nothing.
    if (i === bad - 1) for (let k = 0; k < size; k++) w.data[k * size]! *= 300;
    if (i === bad) for (let n = 0; n < size; n++) w.data[n]! /= 300;
    weights[`w${i}`] = w;
    return [
      standardNode('MatMul', [i === 0 ? 'x' : `h${i - 1}`, `w${i}`], [`p${i}`]),
      standardNode('Relu', [`p${i}`], [i === 3 ? 'y' : `h${i}`]),
    ];
  }).flat();
  const shape = ['batch', 'length', size];
  return { model: smallModel({ x: shape }, weights, nodes), x: gaussian(20, [2, 9, size]) };
}

test('the planted bad layer is the most sensitive, and the first to stay float', async () => {
  for (const bad of [1, 2]) {
    const { model, x } = plantedModel(bad);
    const quantize = (options: Record<string, unknown>) =>
      int8Static.quantize(model, parse({ head: 'int8', calibration: 'minmax', ...options }), feeding(x));
    const error = async (small: Model) => relativeRmse(await runNode(small, { x }), await runNode(model, { x }));
    const all = await quantize({});
    assert.equal(all.sensitivities, undefined);
    const measured = await quantize({ keepFloat: 0 });
    assert.deepEqual(measured.kept, []);
    assert.deepEqual(encodeModel(measured.model).bytes, encodeModel(all.model).bytes, '0 only measures');
    const sensitivities = measured.sensitivities!;
    assert.equal(sensitivities.length, 4);
    assert.equal(sensitivities[0]!.weight, `w${bad}`);
    assert.ok(sensitivities[0]!.relativeRms > 5 * sensitivities[1]!.relativeRms, JSON.stringify(sensitivities));
    for (const [i, { relativeRms }] of sensitivities.entries())
      assert.ok(i === 0 || relativeRms <= sensitivities[i - 1]!.relativeRms, 'in order');

    const one = await quantize({ keepFloat: 1 });
    assert.deepEqual(
      one.kept.map(({ node, reason }) => [node, reason.split(':')[0]]),
      [[`p${bad}`, 'sensitive']],
    );
    assert.equal(operators(one.model)['QuantizeLinear'], 3);
    assert.ok((await error(one.model)) < 0.3 * (await error(all.model)));

    const budget = (sensitivities[0]!.relativeRms + sensitivities[1]!.relativeRms) / 2;
    const within = await quantize({ maxRms: budget });
    assert.deepEqual(encodeModel(within.model).bytes, encodeModel(one.model).bytes, 'one is enough for the budget');
    assert.deepEqual((await quantize({ maxRms: 10 })).kept, [], 'a wide budget keeps none');
    assert.equal((await quantize({ maxRms: 10, keepFloat: 2 })).kept.length, 2, 'the larger of both');
  }
});

test('a shared weight has one sensitivity, and stays float with all its layers', async (t) => {
  const { model, calibrate } = await openTiny(t, { num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] });
  const { sensitivities, kept } = await int8Static.quantize(
    model,
    parse({ keepFloat: 1 }),
    calibrate(paritySentences.slice(3, 9)),
  );
  assert.equal(sensitivities!.length, 13);
  assert.ok(sensitivities![0]!.weight !== 'bert.pooler.dense.weight', 'one that is shared');
  assert.equal(kept.filter(({ reason }) => reason.startsWith('sensitive: ')).length, 2);
});

test('what it refuses', async (t) => {
  const { model, calibrate } = await openTiny(t);
  const refused = (run: () => unknown, code: string, message: RegExp, suggestion?: RegExp) =>
    assert.rejects(
      async () => run(),
      (error: KdxError) => {
        assert.equal(error.code, code, String(error));
        assert.match(error.message, message);
        if (suggestion) assert.match(error.suggestions.join('\n'), suggestion);
        return true;
      },
    );
  await refused(() => int8Static.quantize(model, parse()), 'needs-calibration', /real sentences/, /--calibrate FILE/);
  const old = { ...model, opsets: { '': 12 } };
  await refused(() => int8Static.quantize(old, parse(), calibrate()), 'opset-too-old', /opset 12; this form needs 13/);
  const few = calibrate(paritySentences.slice(3, 6));
  await refused(
    () => int8Static.quantize(model, parse({ maxRms: 1e-6 }), few),
    'budget-not-met',
    /maxRms=0.000001: the outputs differ by 0\.\d+ of their spread with every linear layer in float/,
    /maxRms=0\.\d+/,
  );
  const { model: dead, x } = plantedModel(1);
  (dead.graph.initializers.get('w3')!.data as Float32Array).fill(0);
  await refused(
    () => int8Static.quantize(dead, parse({ keepFloat: 1, head: 'int8' }), feeding(x)),
    'constant-outputs',
    /the same outputs for all 1 sentences/,
  );
});

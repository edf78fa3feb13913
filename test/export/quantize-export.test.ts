/** kdx export --quantize and kdx quantize: the gate, the folder, the commands, and the folder in transformers.js. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  checkFidelity,
  exportCheckpoint,
  openScheme,
  paritySentences,
  type ExportOptions,
  type Manifest,
  type QuantizedFile,
} from '../../plugins/export/src/index.ts';
import { openClassifier, openSource, softmax } from '../../src/classifier/index.ts';
import { loadTaskData } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { sha256File } from '../../src/files/index.ts';
import { tensorOf } from '../../src/graph/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { runKdx } from '../cli/program.ts';
import { runCommand } from '../cli/run-command.ts';
import { failure } from '../support/failure.ts';
import { reviewsFolder, temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { scopeOn } from './engine-scope.ts';

const transformers = await import('@huggingface/transformers').catch(() => undefined);
const skip = transformers === undefined && '@huggingface/transformers is not installed';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

async function options(out: string, more: Partial<ExportOptions> = {}): Promise<ExportOptions> {
  const signal = new AbortController().signal;
  const quantize = { scheme: await openScheme('int8', []) };
  return { out, withEngine: scopeOn(engine), progress: silentProgress, signal, quantize, runtimes: ['node'], ...more };
}

test('the int8 file stands beside the float one, with its scheme and its check in kdx.json', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out, again] = [join(dir, 'model'), join(dir, 'out'), join(dir, 'again')];
  await writeTinyClassifier(model);
  const data = await loadTaskData({ task: 'sst2', dir: reviewsFolder }, { splits: ['dev'] });
  const result = await exportCheckpoint(model, await options(out, { data }));
  const { quantized } = result;
  assert.equal(quantized?.path, 'onnx/model_quantized.onnx');
  assert.equal(quantized.parity.sentences, 256);
  assert.ok(quantized.parity.rmsDifference > 1e-4 && quantized.parity.klDivergence > 0);
  assert.ok(quantized.parity.rmsDifference <= quantized.parity.maxAbsDifference);
  assert.ok(quantized.parity.agreement >= 0.95);
  assert.equal(quantized.metrics?.examples, data.dev.length);
  assert.deepEqual((await readdir(join(out, 'onnx'))).sort(), ['model.onnx', 'model_quantized.onnx']);

  const manifest = JSON.parse(await readFile(join(out, 'kdx.json'), 'utf8')) as Manifest;
  const [float, small] = manifest.models;
  assert.equal(float?.quantization, 'none');
  assert.equal(small?.path, quantized.path);
  const { scheme, options: chosen, tensors, kept } = quantized;
  assert.deepEqual(small.quantization, { scheme, options: chosen, tensors, kept });
  assert.deepEqual(chosen, {
    embeddings: 'int8',
    embeddingBlock: 32,
    weightBits: 'auto',
    head: 'float',
    exclude: [],
    outliers: 3,
  });
  assert.deepEqual(small.parity, quantized.parity);
  assert.equal(small.operators['MatMulInteger'], 13);
  assert.ok(manifest.files.some(({ path }) => path === quantized.path));

  const { quantize: _, ...plain } = await options(again);
  const alone = await exportCheckpoint(model, plain);
  assert.equal(alone.quantized, undefined);
  const file = 'onnx/model.onnx';
  assert.equal(await sha256File(join(out, file)), await sha256File(join(again, file)), 'the float file is the same');
});

test('a file that fails its gate leaves nothing behind', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  const scheme = await openScheme('int8', []);
  const limits = { agreement: 0.5, relativeRms: 1e-4 };
  await assert.rejects(
    exportCheckpoint(model, await options(out, { quantize: { scheme, limits } })),
    failure(
      'parity-failed',
      /differ by 0\.\d+ \(root mean square; allowed .*, 0\.0001 of their spread\), \d+ of 27/,
      1,
    ),
  );
  assert.deepEqual(await readdir(dir), ['model']);
});

test('what the gate measures', () => {
  const logits = (...values: number[]) => tensorOf('float32', [2, 2], values);
  const texts = [{ text: 'a' }, { text: 'b' }];
  const limits = { agreement: 1, relativeRms: 0.5 };
  const { klDivergence, ...figures } = checkFidelity(texts, logits(1, -1, -1, 1), logits(1.5, -1, -1, 1), limits);
  assert.deepEqual(figures, {
    sentences: 2,
    maxAbsDifference: 0.5,
    rmsDifference: 0.25,
    spread: 1,
    agreement: 1,
    limits,
  });
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const [p, q] = [sigmoid(2), sigmoid(2.5)];
  const expected = (p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q))) / 2;
  assert.ok(Math.abs(klDivergence - expected) < 1e-12);
  const wrong: [number[], RegExp][] = [
    [[1, -1, 1, -1], /1 of 2 labels are the same \(needed 2\)/],
    [[9, -1, -1, 1], /differ by 4\.00 .*allowed 0\.500/],
    [[Number.NaN, -1, -1, 1], /differ by NaN/],
    [[Infinity, -1, -1, 1], /differ by Infinity/],
  ];
  for (const [found, message] of wrong)
    assert.throws(
      () => checkFidelity(texts, logits(1, -1, -1, 1), logits(...found), limits),
      failure('parity-failed', message, 1),
    );
});

test('transformers.js opens the folder with dtype q8', { skip }, async (t) => {
  const { env, ModelRegistry, pipeline } = transformers!;
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  await exportCheckpoint(model, await options(out));
  const classifier = await openClassifier(await openSource(join(out, 'onnx/model_quantized.onnx')), engine);
  const float = await openClassifier(await openSource(out), engine);
  env.allowRemoteModels = false;
  env.localModelPath = dirname(out);
  assert.deepEqual(await ModelRegistry.get_available_dtypes(out), ['fp32', 'q8']);
  const classify = await pipeline('text-classification', out, { dtype: 'q8' });
  try {
    for (const { text } of paritySentences.slice(3, 9)) {
      // Without padding, whose activations would count in the range that is quantized.
      const { ids } = classifier.source.tokenizer.encode(text, undefined, 999);
      const row = (values: readonly number[]) => tensorOf('int64', [1, ids.length], values);
      const inputs = {
        input_ids: row([...ids]),
        attention_mask: row(Array.from(ids, () => 1)),
        token_type_ids: row(Array.from(ids, () => 0)),
      };
      const [expected, exact] = await Promise.all(
        [classifier, float].map(async ({ run }) => softmax([...((await run(inputs)).data as Float32Array)])),
      );
      const [found] = (await classify(text)) as { score: number }[];
      assert.ok(Math.abs(found!.score - Math.max(...expected!)) < 1e-5, `${found?.score}, ${expected?.join()}`);
      assert.ok(Math.abs(found!.score - Math.max(...exact!)) > 1e-5, 'it is the quantized file');
    }
  } finally {
    await classify.dispose();
  }
});

test('the commands, for people and as JSON', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out, file] = [join(dir, 'model'), join(dir, 'out'), join(dir, 'small.onnx')];
  await writeTinyClassifier(model);
  const human = await runKdx([
    ...['export', '--model', model, '--out', out, '--runtimes', 'node', '--quantize', 'int8'],
  ]);
  assert.equal(human.code, 0, human.stderr);
  assert.match(human.stdout, /^onnx\/model_quantized\.onnx +[\d.]+ kB$/m);
  assert.match(human.stdout, /^int8: [\d.]+ % of the labels the same, logits differ by \S+ \(root mean square; /m);
  assert.match(human.stdout, /dtype: 'q8'/);

  const words = ['quantize', join(out, 'onnx/model.onnx'), '--scheme', 'int8', '--out', file];
  const text = await runKdx(words);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /^int8 per channel +13 /m);
  assert.match(text.stdout, /^kept in float32: classifier\/MatMul \(classifier\)$/m);
  assert.equal(await sha256File(file), await sha256File(join(out, 'onnx/model_quantized.onnx')), 'the same bytes');

  const json = await runCommand([...words, '--force', '--set', 'weightBits=7', '--set', 'head=int8']);
  assert.equal(json.text, '');
  const result = json.result as QuantizedFile;
  assert.deepEqual(result.options, {
    embeddings: 'int8',
    embeddingBlock: 32,
    outliers: 3,
    weightBits: 7,
    head: 'int8',
    exclude: [],
  });
  assert.ok(result.bytesAfter < result.bytesBefore);
  assert.deepEqual(result.kept, []);
});

test('mistakes end with exit code 2, and nothing is written', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out, taken] = [join(dir, 'model'), join(dir, 'out'), join(dir, 'taken.onnx')];
  await writeTinyClassifier(model);
  const { quantize: _, ...plain } = await options(out);
  await exportCheckpoint(model, plain);
  await writeFile(taken, 'mine');
  await mkdir(join(dir, 'new'));
  const [float, small] = [join(out, 'onnx/model.onnx'), join(dir, 'new/small.onnx')];
  const quantize = (scheme: string, to: string, ...more: string[]) => [
    ...['quantize', float, '--scheme', scheme, '--out', to],
    ...more,
  ];
  const cases: readonly [words: readonly string[], code: string, message: RegExp][] = [
    [quantize('int9', small), 'unknown-scheme', /there is no scheme int9; there are int8/],
    [quantize('int8', small, '--set', 'bits=8'), 'invalid-option', /bits: unknown key/],
    [quantize('int8', small, '--set', 'weightBits=6'), 'invalid-option', /weightBits/],
    [quantize('int8', small, '--set', 'exclude=nothing'), 'unknown-node', /is called nothing/],
    [quantize('int8', taken), 'output-exists', /exists/],
    [quantize('int8', float, '--force'), 'output-exists', /is the file to be quantized/],
    [['export', '--model', model, '--out', small, '--set', 'weightBits=7'], 'invalid-usage', /--set is for --quantize/],
  ];
  for (const [words, code, message] of cases) {
    const { failure } = await runCommand(words);
    assert.equal(failure?.exitCode, 2, code);
    assert.equal(failure.code, code);
    assert.match(failure.message, message);
  }
  assert.deepEqual(await readdir(join(dir, 'new')), []);
  assert.equal(await readFile(taken, 'utf8'), 'mine');
});

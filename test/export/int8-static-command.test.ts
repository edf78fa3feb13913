/** int8-static on the command line: where its sentences come from, what it reports, what a wrong command line says. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  exportCheckpoint,
  openScheme,
  readSentences,
  type ExportResult,
  type Manifest,
  type QuantizedFile,
} from '../../plugins/export/src/index.ts';
import { openClassifier, openSource, predict } from '../../src/classifier/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import type { KdxError } from '../../src/errors/index.ts';
import { sha256File } from '../../src/files/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { runKdx } from '../cli/program.ts';
import { runCommand } from '../cli/run-command.ts';
import { reviewsFolder, temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { scopeOn } from './engine-scope.ts';

const transformers = await import('@huggingface/transformers').catch(() => undefined);
const skip = transformers === undefined && '@huggingface/transformers is not installed';

const run = (...words: string[]) => runKdx(words);
const data = ['--data', reviewsFolder, '--task', 'sst2'];

test('export calibrates on the training sentences, quantize on the same gives the same bytes', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out, small] = [join(dir, 'model'), join(dir, 'out'), join(dir, 'small.onnx')];
  await writeTinyClassifier(model);
  const words = ['--calibrate-sentences', '40', '--set', 'keepFloat=1'];
  const export_ = ['export', '--model', model, '--out', out, '--quantize', 'int8-static'];
  const exported = await run(...export_, ...data, ...words, '--json');
  assert.equal(exported.code, 0, exported.stderr);
  assert.doesNotMatch(exported.stderr, /built-in/);
  const { quantized } = JSON.parse(exported.stdout) as ExportResult;
  assert.equal(quantized?.path, 'onnx/model_uint8.onnx');
  assert.equal(quantized.sensitivities?.length, 13);
  assert.ok(quantized.parity.agreement >= 0.95);
  const manifest = JSON.parse(await readFile(join(out, 'kdx.json'), 'utf8')) as Manifest;
  const { quantization } = manifest.models[1]!;
  assert.ok(quantization !== 'none');
  assert.deepEqual(quantization.sensitivities, quantized.sensitivities);

  const file = join(out, 'onnx/model.onnx');
  const folder = ['--calibrate', reviewsFolder, '--task', 'sst2'];
  const static_ = ['quantize', file, '--scheme', 'int8-static', '--out', small];
  const alone = await runCommand([...static_, ...folder, ...words]);
  assert.equal(alone.text, '');
  assert.equal(await sha256File(small), await sha256File(join(out, quantized.path)));
  assert.deepEqual((alone.result as QuantizedFile).sensitivities, quantized.sensitivities);

  const fewer = await run(...static_, ...folder, '--calibrate-sentences', '5', '--force', '--set', 'keepFloat=0');
  assert.equal(fewer.code, 0, fewer.stderr);
  assert.match(fewer.stdout, /^int8 per channel +13 /m);
  assert.match(fewer.stdout, /^most sensitive +error alone$/m);
  assert.match(fewer.stdout, /^bert\.\S+\.weight +0\.\d+$/m);
  assert.notEqual(await sha256File(small), await sha256File(join(out, quantized.path)));
});

test('without data the export says that its sentences are few', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, texts] = [join(dir, 'model'), join(dir, 'texts.txt')];
  await writeTinyClassifier(model);
  await writeFile(texts, 'a fine film\n\nnot so good\tbut short\nthe end\n');
  const words = ['export', '--model', model, '--runtimes', 'node', '--quantize', 'int8-static', '--out'];
  const [thin, own] = await Promise.all([
    run(...words, join(dir, 'thin')),
    run(...words, join(dir, 'own'), '--calibrate', texts, '--min-agreement', '0', '--max-rms', '9'),
  ]);
  assert.equal(thin.code, 0, thin.stderr);
  assert.match(thin.stderr, /note: calibrated on a few built-in sentences; --data or --calibrate/);
  assert.match(thin.stdout, /dtype: 'uint8'/);
  assert.equal(own.code, 0, own.stderr);
  assert.doesNotMatch(own.stderr, /built-in/);
  const file = (name: string) => sha256File(join(dir, name, 'onnx/model_uint8.onnx'));
  assert.notEqual(await file('thin'), await file('own'));
});

test('transformers.js opens the file with dtype uint8', { skip }, async (t) => {
  const { env, ModelRegistry, pipeline } = transformers!;
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  const engine = await openEngine({ device: 'cpu', threads: 1 });
  t.after(() => engine.close());
  const quantize = { scheme: await openScheme('int8-static', []) };
  const { signal } = new AbortController();
  await exportCheckpoint(model, {
    out,
    withEngine: scopeOn(engine),
    progress: silentProgress,
    signal,
    quantize,
    runtimes: ['node'],
  });
  env.allowRemoteModels = false;
  env.localModelPath = dir;
  assert.deepEqual(await ModelRegistry.get_available_dtypes(out), ['fp32', 'uint8']);
  const classify = await pipeline('text-classification', out, { dtype: 'uint8' });
  const classifier = await openClassifier(await openSource(join(out, 'onnx/model_uint8.onnx')), engine);
  const texts = ['not bad at all', 'Great. Another update that breaks the printer.'];
  const found = (await classify(texts)) as { label: string; score: number }[];
  for (const [i, { label, score }] of (
    await predict(
      classifier,
      texts.map((text) => ({ text })),
    )
  ).entries()) {
    assert.equal(found[i]?.label, label);
    assert.ok(Math.abs(found[i]!.score - score) < 1e-4, `${found[i]!.score}, ${score}`);
  }
  await classify.dispose();
});

test('sentences of a file and of a folder', async (t) => {
  const dir = await temporaryFolder(t);
  const path = join(dir, 'texts.txt');
  await writeFile(path, `one\r\n\n  \ntwo\tits pair\n${Array.from({ length: 50 }, (_, i) => `line ${i}`).join('\n')}`);
  const all = await readSentences(path, { count: 99 });
  assert.equal(all.length, 52);
  assert.deepEqual(
    all.slice(0, 2).map(({ text, pair }) => [text, pair]),
    [
      ['one', undefined],
      ['two', 'its pair'],
    ],
  );
  const some = await readSentences(path, { count: 9 });
  assert.equal(some.length, 9);
  assert.deepEqual(await readSentences(path, { count: 9 }), some, 'the same choice');
  assert.notDeepEqual(some, all.slice(0, 9), 'not only the first ones');
  const folder = await readSentences(reviewsFolder, { task: 'sst2', count: 7 });
  assert.equal(folder.length, 7);
  await writeFile(path, 'a\tb\n1\t2\t3\n');
  await assert.rejects(
    readSentences(path, { count: 9 }),
    (error: KdxError) => error.code === 'invalid-line' && error.message.startsWith(`${path}:2 has 2 tabs`),
  );
});

test('mistakes end with exit code 2, and nothing is written', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  assert.equal((await runCommand(['export', '--model', model, '--out', out, '--runtimes', 'node'])).text, '');
  const [float, lonely, empty] = [join(out, 'onnx/model.onnx'), join(dir, 'new/lonely.onnx'), join(dir, 'empty.txt')];
  await mkdir(join(dir, 'new'));
  await copyFile(float, lonely);
  await writeFile(empty, '\n \n');
  const quantize = (file: string, ...more: string[]) => [
    ...['quantize', file, '--scheme', 'int8-static', '--out', join(dir, 'new/small.onnx')],
    ...more,
  ];
  const cases: readonly [words: readonly string[], code: string, message: RegExp][] = [
    [quantize(float), 'needs-calibration', /from real sentences/],
    [quantize(float, '--calibrate', empty), 'empty-data', /empty\.txt holds no sentence/],
    [quantize(float, '--calibrate', join(dir, 'none.txt')), 'file-not-found', /none\.txt does not exist/],
    [quantize(float, '--calibrate', reviewsFolder), 'invalid-usage', /is a folder, which needs --task/],
    [quantize(float, '--calibrate', dir, '--task', 'sst2'), 'missing-task-file', /has no train\.tsv/],
    [quantize(lonely, '--calibrate', reviewsFolder, '--task', 'sst2'), 'not-a-checkpoint', /no config\.json beside/],
    [quantize(float, '--set', 'calibration=best'), 'invalid-option', /calibration/],
    [quantize(float, '--set', 'maxRms=0'), 'invalid-option', /maxRms/],
    [
      ['export', '--model', model, '--out', join(dir, 'new/out'), '--calibrate', empty],
      'invalid-usage',
      /--calibrate is for --quantize/,
    ],
  ];
  for (const [words, code, message] of cases) {
    const { failure } = await runCommand(words);
    assert.equal(failure?.exitCode, 2, code);
    assert.equal(failure.code, code);
    assert.match(failure.message, message);
  }
  assert.deepEqual(await readdir(join(dir, 'new')), ['lonely.onnx']);
  const dynamic = await runCommand(['quantize', lonely, '--scheme', 'int8', '--out', join(dir, 'new/small.onnx')]);
  assert.equal(dynamic.text, '');
});

/** The gate on every runtime: what is recorded, what fails, what is left out, and that no process stays. */
import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import {
  exportCheckpoint,
  findWebPackage,
  floatGate,
  openScheme,
  openWebSession,
  paritySentences,
  quantizedGate,
  startWeb,
  type Answers,
  type ExportOptions,
  type ExportResult,
  type Fidelity,
  type Gate,
  type Manifest,
  type Parity,
  type RuntimeCheck,
  type RuntimeOptions,
} from '../../plugins/export/src/index.ts';
import { openClassifier, openSource, type ClassifierSource } from '../../src/classifier/index.ts';
import { encodeExamples } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { tensorOf, type Tensor } from '../../src/graph/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { runKdx } from '../cli/program.ts';
import { failure } from '../support/failure.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { scopeOn } from './engine-scope.ts';
import { hidePackage } from './hidden-package.ts';

const web = findWebPackage();
const skip = web === undefined && 'onnxruntime-web is not installed';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

const watched = { progress: silentProgress, signal: new AbortController().signal } satisfies RuntimeOptions;

async function exported(t: TestContext, more: Partial<ExportOptions> = {}): Promise<ExportResult> {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  return exportCheckpoint(model, { ...watched, out, withEngine: scopeOn(engine), ...more });
}

test('every file is run on every runtime, and kdx.json says so', { skip }, async (t) => {
  const quantize = { scheme: await openScheme('int8', []) };
  const { out, runtimes, quantized } = await exported(t, { quantize, externalData: 'always' });
  const manifest = JSON.parse(await readFile(join(out, 'kdx.json'), 'utf8')) as Manifest;
  assert.deepEqual(
    manifest.models.map((model) => model.runtimes),
    [runtimes, quantized!.runtimes],
  );
  for (const [checks, largest] of [
    [runtimes!, 1e-5],
    [quantized!.runtimes, 1],
  ] as const) {
    assert.deepEqual(
      checks.map(({ name, version }) => [name, version]),
      [
        ['onnxruntime-node', '1.30.0'],
        ['onnxruntime-web', web!.version],
      ],
    );
    for (const check of checks) {
      assert.ok('sentences' in check);
      assert.equal(check.sentences, check.name === 'onnxruntime-web' ? 16 : paritySentences.length);
      assert.ok(check.maxAbsDifference > 0 && check.maxAbsDifference < largest);
      assert.ok(check.rmsDifference <= check.maxAbsDifference);
      assert.ok(check.agreement >= 0.95 && Math.abs(check.klDivergence) < 0.01);
    }
  }
});

test('a runtime that is absent or not asked for is left out, with the reason', async (t) => {
  const { runtimes: one } = await exported(t, { runtimes: ['node'] });
  assert.deepEqual(one!.slice(1), [
    { name: 'onnxruntime-web', ...(web && { version: web.version }), skipped: 'not asked for' },
  ]);
  hidePackage(t, 'onnxruntime-web');
  const { runtimes: none } = await exported(t);
  assert.deepEqual(none!.slice(1), [{ name: 'onnxruntime-web', skipped: 'not installed' }]);
  await assert.rejects(
    exported(t, { runtimes: ['node', 'wasm'] }),
    failure('missing-package', /^--runtimes wasm needs onnxruntime-web/),
  );
});

/** The float file of an export, and answers to it. */
async function answered(t: TestContext) {
  const { out } = await exported(t, { runtimes: ['node'] });
  const file = join(out, 'onnx/model.onnx');
  const classifier = await openClassifier(await openSource(file), engine);
  const texts = paritySentences.slice(0, 6);
  const examples = encodeExamples(
    classifier.source.tokenizer,
    texts.map((text, id) => ({ ...text, id, label: 0 })),
    160,
  );
  const logits = await classifier.logits(examples);
  await classifier.release();
  return { file, source: classifier.source, answers: { texts, expected: logits, found: logits } satisfies Answers };
}

function moved({ dims, data }: Tensor<'float32'>, by: number): Tensor<'float32'> {
  return tensorOf(
    'float32',
    dims,
    [...data].map((value, i) => (i === 0 ? value + by : value)),
  );
}

type WebGate = (gate: Gate<Parity | Fidelity>) => Promise<RuntimeCheck>;

/** @param use its gates are all on what one run on WebAssembly has answered */
async function onWeb<T>(
  file: string,
  source: ClassifierSource,
  answers: Answers,
  use: (check: WebGate) => Promise<T>,
): Promise<T> {
  const web = startWeb(file, source, answers.texts, watched);
  try {
    return await use((gate) => web.result(answers, gate));
  } finally {
    await web.close();
  }
}

test('a file that fails only on WebAssembly fails the gate, which names the runtime', { skip }, async (t) => {
  const { file, source, answers } = await answered(t);
  // What onnxruntime-node has found is what was expected; the other runtime finds what is in the file.
  const expected = moved(answers.expected, 0.01);
  const other = { ...answers, expected, found: expected };
  const name = /onnxruntime-web 1\.[\d.]+ \(wasm\)/.source;
  await onWeb(file, source, other, async (checked) => {
    await assert.rejects(
      checked(floatGate(1e-4)),
      failure(
        'parity-failed',
        new RegExp(`checkpoint on ${name}, so it was not written: logits differ by up to 0\\.0100`),
        1,
      ),
    );
    const limits = { agreement: 0.9, relativeRms: 1e-4 };
    await assert.rejects(
      checked(quantizedGate(limits)),
      failure('parity-failed', new RegExp(`checkpoint on ${name}, so nothing was written`), 1),
    );
    const check = await checked(floatGate(0.1));
    assert.equal('sentences' in check && check.maxAbsDifference.toFixed(4), '0.0100');
  });

  await writeFile(file, 'no model');
  await assert.rejects(
    onWeb(file, source, answers, (checked) => checked(floatGate(1))),
    failure('parity-failed', new RegExp(`does not run on ${name}, so it was not written: .*protobuf`, 'i'), 1),
  );
  // Of 1.5 GB, but empty: it takes no place on the disk.
  await truncate(file, 1.5e9);
  const large = await onWeb(file, source, answers, (checked) => checked(floatGate(1)));
  assert.match('skipped' in large ? large.skipped : '', /^1\.5 GB of weights do not fit/);
});

test('few sentences may be worse than all of them, but not worse than on onnxruntime-node', () => {
  const logits = (...values: number[]) => tensorOf('float32', [4, 2], values);
  const texts = ['a', 'b', 'c', 'd'].map((text) => ({ text }));
  const expected = logits(1, -1, 1, -1, -1, 1, -1, 1);
  const oneWrong = logits(-0.1, 0, 1, -1, -1, 1, -1, 1);
  const gate = quantizedGate({ agreement: 0.9, relativeRms: 0.15 });
  assert.throws(() => gate({ texts, expected, found: oneWrong }), /3 of 4 labels are the same \(needed 4\)/);
  const check = (found: Tensor<'float32'>, onNode: Tensor<'float32'>) =>
    gate({ texts, expected, found, other: { runtime: 'web', onNode } });
  assert.equal(check(oneWrong, oneWrong).agreement, 0.75);
  assert.throws(() => check(oneWrong, expected), /on web, so nothing was written/);
  assert.throws(() => check(logits(-1, 1, -1, 1, 1, -1, 1, -1), oneWrong), /on web, so nothing was written/);
});

test('an abort ends loading and running at once, and no process stays', { skip }, async (t) => {
  const { file } = await answered(t);
  const processes = () => process.getActiveResourcesInfo().filter((name) => name === 'ProcessWrap').length;
  const before = processes();
  const early = new AbortController();
  const opening = openWebSession(file, early.signal);
  void setTimeout(20).then(() => early.abort());
  await assert.rejects(opening, { name: 'AbortError' });

  const late = new AbortController();
  const session = await openWebSession(file, late.signal);
  const ones = (value: bigint): Tensor => ({
    dtype: 'int64',
    dims: [2000, 160],
    data: new BigInt64Array(2000 * 160).fill(value),
  });
  const running = session.run({ input_ids: ones(5n), attention_mask: ones(1n), token_type_ids: ones(0n) });
  void setTimeout(20).then(() => late.abort());
  await assert.rejects(running, { name: 'AbortError' });
  assert.ok(processes() > before, 'it is still there');
  await session.close();
  // Node forgets an ended process a moment later.
  for (let i = 0; i < 100 && processes() > before; i++) await setTimeout(10);
  assert.equal(processes(), before);
});

test('the command, for people', { skip }, async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  const run = (...words: string[]) => runKdx(['export', '--model', model, '--out', out, ...words]);
  const [human, ...mistakes] = await Promise.all([
    run('--quantize', 'int8', '--demo'),
    run('--runtimes', 'wasm'),
    run('--runtimes', 'node,webgpu'),
    run('--unshare', '--demo'),
  ]);
  assert.equal(human.code, 0, human.stderr);
  for (const file of ['model.onnx', 'model_quantized.onnx'])
    for (const [runtime, texts] of Object.entries({ node: 27, wasm: 16 }))
      assert.match(
        human.stdout,
        new RegExp(`^${file} +${runtime} 1\\.\\d+\\.\\d+ +${texts} +\\d+\\.\\d %( +[\\de.-]+){3}$`, 'm'),
      );
  assert.match(human.stdout, /^ +npx http-server \S+, then open http:\/\/localhost:8080\/demo\//m);
  assert.match(human.stdout, /^demo\/index\.html +[\d.]+ kB$/m);
  const messages = [/node is always among --runtimes/, /there is no runtime 'webgpu'/, /--unshare writes no ONNX/];
  for (const [i, message] of messages.entries()) {
    assert.equal(mistakes[i]!.code, 2);
    assert.match(mistakes[i]!.stderr, message);
  }
});

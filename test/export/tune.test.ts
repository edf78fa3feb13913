/** kdx export --tune on a small model: what kdx.json keeps, that answers are checked, and who uses it. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { evaluate } from '../../plugins/distill/src/evaluation.ts';
import {
  exportCheckpoint,
  type ExportOptions,
  type ExportResult,
  type Manifest,
} from '../../plugins/export/src/index.ts';
import { openScheme } from '../../plugins/export/src/quantization.ts';
import { tuningText } from '../../plugins/export/src/tune/tuning-text.ts';
import { openSource, readTuning, thisMachine, tunedOptions } from '../../src/classifier/index.ts';
import { loadTaskData } from '../../src/data/index.ts';
import { openEngine, type Engine, type SessionOptions } from '../../src/engine/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { runCommand } from '../cli/run-command.ts';
import { reviewsFolder, temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { scopeOn } from './engine-scope.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 2 });
});
after(() => engine.close());

const brief = { seconds: 0.2, length: 16 };

function options(out: string, more: Partial<ExportOptions> = {}): ExportOptions {
  return {
    out,
    withEngine: scopeOn(engine),
    progress: silentProgress,
    signal: new AbortController().signal,
    runtimes: ['node'],
    ...more,
  };
}

async function place(t: TestContext) {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  return { dir, model, out };
}

const manifestIn = async (out: string) => JSON.parse(await readFile(join(out, 'kdx.json'), 'utf8')) as Manifest;

/** The engine on a fake clock: without the fused operator a run takes half as long, and answers as `change` says. */
function planted(real: Engine, change: (logits: Float32Array) => void) {
  let milliseconds = 0;
  const own: Engine = {
    ...real,
    async createSession(model, given) {
      const session = await real.createSession(model, given);
      const isPlanted = (given?.disabledOptimizers ?? []).length > 0;
      return {
        ...session,
        async run(request) {
          const results = await session.run(request);
          milliseconds += isPlanted ? 5 : 10;
          if (isPlanted) change(results['logits']!.data as Float32Array);
          return results;
        },
      };
    },
  };
  return { withEngine: scopeOn(own), tune: { ...brief, now: () => milliseconds } };
}

test('kdx.json of each file says what was found, for whom, and what was tried', async (t) => {
  const { model, out } = await place(t);
  const quantize = { scheme: await openScheme('int8', []), limits: { agreement: 0, relativeRms: 10 } };
  const result = await exportCheckpoint(model, options(out, { quantize, tune: brief }));
  const { models } = await manifestIn(out);
  assert.equal(models.length, 2);
  assert.deepEqual(models[0]!.tuning, result.tuning);
  assert.deepEqual(models[1]!.tuning, result.quantized?.tuning);
  for (const { path, tuning } of models) {
    assert.ok(tuning);
    assert.deepEqual({ onnxruntime: tuning.onnxruntime, processor: tuning.processor }, thisMachine());
    assert.deepEqual([tuning.batch, tuning.length], [1, 16]);
    assert.ok(tuning.loadAverage >= 0);
    const tried = new Set(tuning.candidates.map(({ factor }) => factor));
    for (const factor of ['fusion', 'optimization', 'memory pattern', 'prepacking', 'threads'])
      assert.ok(tried.has(factor), factor);
    assert.equal(tuning.finding === 'faster than the default', tuning.ci95 !== null);
    const { options: chosen, threads, onnxruntime, processor } = tuning;
    assert.deepEqual(await readTuning(await openSource(join(out, path))), {
      ...{ onnxruntime, processor },
      ...{ options: chosen, threads },
    });
  }
});

test('without --tune kdx.json has the same bytes as ever', async (t) => {
  const { model, out } = await place(t);
  await exportCheckpoint(model, options(out));
  const first = await readFile(join(out, 'kdx.json'), 'utf8');
  assert.doesNotMatch(first, /tuning|processor/);
  await exportCheckpoint(model, options(out, { force: true }));
  assert.equal(await readFile(join(out, 'kdx.json'), 'utf8'), first);
});

test('options that win are kept when the answers stay', async (t) => {
  const { model, out } = await place(t);
  const { tuning } = await exportCheckpoint(
    model,
    options(
      out,
      planted(engine, () => undefined),
    ),
  );
  assert.equal(tuning?.finding, 'faster than the default');
  assert.deepEqual(tuning.options, { disabledOptimizers: ['SkipLayerNormFusion'] });
  assert.ok(Math.abs(tuning.ratio - 2) < 1e-9, String(tuning.ratio));
});

test('options that change the answers are not kept', async (t) => {
  const { model, out } = await place(t);
  const wrong = planted(engine, (logits) => void (logits[0]! += 1));
  const { tuning, parity } = await exportCheckpoint(model, options(out, wrong));
  assert.equal(tuning?.finding, 'the faster options change the answers');
  assert.deepEqual([tuning.options, tuning.threads, tuning.ratio, tuning.ci95], [{}, 2, 1, null]);
  assert.ok(parity.maxAbsDifference < 1e-4, 'the file itself is right');
});

test('with --threads no other number is tried', async (t) => {
  const { model, out } = await place(t);
  const { tuning } = await exportCheckpoint(model, options(out, { tune: { ...brief, threads: 2 } }));
  assert.ok(tuning?.candidates.every(({ threads, factor }) => threads === 2 && factor !== 'threads'));
});

test('an interruption while tuning leaves nothing', async (t) => {
  const { dir, model, out } = await place(t);
  const controller = new AbortController();
  const progress = { ...silentProgress, start: (label: string) => void (/^tune /.test(label) && controller.abort()) };
  const interrupted = options(out, { tune: brief, signal: controller.signal, progress });
  await assert.rejects(exportCheckpoint(model, interrupted), { name: 'AbortError' });
  assert.deepEqual(await readdir(dir), ['model']);
});

test('a length over the positions is refused before anything is done', async (t) => {
  const { dir, model, out } = await place(t);
  await assert.rejects(exportCheckpoint(model, options(out, { tune: { length: 161 } })), (error: unknown) => {
    assert.ok(error instanceof KdxError && error.code === 'length-over-positions');
    assert.deepEqual(error.suggestions, ['--tune-length 160']);
    return true;
  });
  assert.deepEqual(await readdir(dir), ['model']);
});

/** Session options of all sessions of an engine. */
function watched(real: Engine): { engine: Engine; given: SessionOptions[] } {
  const given: SessionOptions[] = [];
  const createSession: Engine['createSession'] = (model, sessionOptions = {}) => {
    given.push(sessionOptions);
    return real.createSession(model, sessionOptions);
  };
  return { engine: { ...real, createSession }, given };
}

test('kdx eval runs with the tuned options, and with the threads that the user asks for', async (t) => {
  const { model, out } = await place(t);
  await exportCheckpoint(model, options(out, { tune: brief }));
  const manifest = await manifestIn(out);
  const tuning = { ...manifest.models[0]!.tuning!, options: { memoryPattern: true }, threads: 1 };
  await writeFile(join(out, 'kdx.json'), JSON.stringify({ ...manifest, models: [{ ...manifest.models[0], tuning }] }));
  assert.deepEqual(await tunedOptions(await openSource(out), engine), { memoryPattern: true, threads: 1 });
  const data = await loadTaskData({ dir: reviewsFolder, task: 'sst2' }, { splits: ['dev'] });
  for (const [threads, expected] of [
    [undefined, { memoryPattern: true, threads: 1 }],
    [2, { memoryPattern: true }],
  ] as const) {
    const { engine: own, given } = watched(engine);
    const { signal } = new AbortController();
    await evaluate({ model: out, data, engine: own, progress: silentProgress, signal, threads });
    const [{ name, ...others }] = given as [SessionOptions];
    assert.equal(name, join(out, 'onnx', 'model.onnx'));
    assert.deepEqual(others, expected);
  }
});

test('the command: flags for --tune alone are a mistake', async (t) => {
  const { model, out } = await place(t);
  const words = ['export', '--model', model, '--out', out, '--runtimes', 'node'];
  const stray = await runCommand([...words, '--tune-seconds', '5']);
  assert.match(stray.text, /--tune-seconds is for --tune/);
  const unshared = await runCommand(['export', '--model', model, '--out', out, '--unshare', '--tune']);
  assert.match(unshared.text, /--unshare writes no ONNX/);
  const done = await runCommand([
    ...words,
    '--tune',
    '--tune-seconds',
    '1',
    '--tune-length',
    '16',
    '--tune-batch',
    '2',
  ]);
  assert.equal(done.text, '');
  const { tuning } = done.result as ExportResult;
  assert.deepEqual([tuning?.batch, tuning?.length], [2, 16]);
  const predicted = await runCommand(['predict', '--model', out, 'a fine battery']);
  assert.equal(predicted.text, '');
});

test('in words', () => {
  const record = { ...thisMachine(), threads: 2, batch: 1, length: 128, loadAverage: 0, candidates: [] };
  const kept = {
    ...record,
    options: {},
    ratio: 1,
    ci95: null,
    finding: 'nothing was faster than the default',
  } as const;
  assert.equal(
    tuningText('float', kept),
    'float on this processor: the default options, nothing was faster than the default (batch 1, length 128)',
  );
  const chosen = { disabledOptimizers: ['SkipLayerNormFusion'], optimization: 'extended', prepacking: false } as const;
  const found = {
    ...record,
    options: chosen,
    ratio: 1.212,
    ci95: [1.2, 1.23],
    finding: 'faster than the default',
  } as const;
  assert.equal(
    tuningText('int8', found),
    'int8 on this processor: SkipLayerNormFusion off, optimization extended, prepacking off, 2 threads: 1.21x as fast ' +
      'as the default [1.20, 1.23] (batch 1, length 128)',
  );
});

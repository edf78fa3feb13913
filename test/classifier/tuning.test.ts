/** Tuned session options in kdx.json: where they hold, which threads they bring, and what is refused. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  optionsWithThreads,
  readTuning,
  thisMachine,
  tunedOptions,
  tuningMismatch,
  type Tuning,
} from '../../src/classifier/index.ts';
import { processor, type Engine } from '../../src/engine/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';

const onCpu = { device: { kind: 'cpu' } } as Pick<Engine, 'device'>;
const here = thisMachine();
const tuning: Tuning = {
  ...here,
  options: { disabledOptimizers: ['SkipLayerNormFusion'], optimization: 'extended', spinning: true },
  threads: 2,
};

/** A folder whose kdx.json says this of onnx/model.onnx. */
async function sourceWith(t: TestContext, content: unknown) {
  const dir = await temporaryFolder(t);
  await mkdir(join(dir, 'onnx'));
  await writeFile(join(dir, 'kdx.json'), typeof content === 'string' ? content : JSON.stringify(content));
  return { dir, onnxFile: join(dir, 'onnx', 'model.onnx') };
}

const manifestOf = (own: unknown) => ({ kind: 'export', models: [{ path: 'onnx/model.onnx', tuning: own }] });

test('the tuning of a file is found by its path', async (t) => {
  const source = await sourceWith(t, manifestOf({ ...tuning, ratio: 1.2, candidates: [] }));
  assert.deepEqual(await readTuning(source), tuning);
  assert.equal(await readTuning({ ...source, onnxFile: join(source.dir, 'onnx', 'model_quantized.onnx') }), undefined);
  assert.equal(await readTuning({ ...source, onnxFile: undefined }), undefined, 'a checkpoint');
});

test('no kdx.json, or one without a tuning, is nothing to talk about', async (t) => {
  for (const content of [{}, [], 7, { models: 7 }, { models: [null, 7] }, manifestOf(undefined)])
    assert.equal(await readTuning(await sourceWith(t, content)), undefined);
  const dir = await temporaryFolder(t);
  assert.equal(await readTuning({ dir, onnxFile: join(dir, 'model.onnx') }), undefined);
});

test('it holds with the same ONNX Runtime on the same processor only', async (t) => {
  assert.equal(tuningMismatch(tuning, here), undefined);
  assert.match(tuningMismatch({ ...tuning, onnxruntime: '1.29.0' }, here)!, /tuned for ONNX Runtime 1\.29\.0, this is/);
  assert.match(tuningMismatch({ ...tuning, processor: 'Other' }, here)!, /tuned for Other, this is/);

  const own = { ...tuning.options, threads: 2 };
  assert.deepEqual(await tunedOptions(await sourceWith(t, manifestOf(tuning)), onCpu), own);
  for (const other of [{ onnxruntime: '1.29.0' }, { processor: 'Other' }])
    assert.deepEqual(await tunedOptions(await sourceWith(t, manifestOf({ ...tuning, ...other })), onCpu), {});
  const onGpu = { device: { kind: 'webgpu' } } as Pick<Engine, 'device'>;
  assert.deepEqual(await tunedOptions(await sourceWith(t, manifestOf(tuning)), onGpu), {});
});

test('the machine is told by processor, architecture and usable cores', () => {
  const { model, architecture, threads } = processor();
  assert.ok(here.processor.startsWith(`${model}, ${architecture}, ${threads} core`));
  assert.match(here.onnxruntime, /^\d+\.\d+\.\d+/);
});

test('the threads that the user asks for win, and spinning goes with the tuned number', async (t) => {
  const others = { disabledOptimizers: ['SkipLayerNormFusion'], optimization: 'extended' };
  assert.deepEqual(optionsWithThreads(tuning), { ...tuning.options, threads: 2 });
  assert.deepEqual(optionsWithThreads(tuning, 2), { ...tuning.options, threads: 2 });
  assert.deepEqual(optionsWithThreads(tuning, 1), others);
  assert.deepEqual(await tunedOptions(await sourceWith(t, manifestOf(tuning)), onCpu, 3), others);
});

const refused: readonly [what: string, tuning: unknown, message: RegExp][] = [
  ['a number', 7, /expected an object, found 7/],
  ['null', null, /expected an object, found null/],
  ['no processor', { ...tuning, processor: undefined }, /names of onnxruntime and processor/],
  ['a list as processor', { ...tuning, processor: [here.processor] }, /names of onnxruntime and processor/],
  ['no threads', { ...tuning, threads: undefined }, /threads is missing/],
  ['0 threads', { ...tuning, threads: 0 }, /threads is 0/],
  ['half a thread', { ...tuning, threads: 1.5 }, /threads is 1\.5/],
  ['a million threads', { ...tuning, threads: 1e6 }, /threads is 1000000, expected a whole number from 1 to 1024/],
  ['no options', { ...tuning, options: [] }, /options is \[\], expected an object/],
  ['another option', { ...tuning, options: { logSeverityLevel: 0 } }, /no option "logSeverityLevel"/],
  ['a path', { ...tuning, options: { optimizedModelPath: 'x' } }, /no option "optimizedModelPath"/],
  ['an inherited name', { ...tuning, options: { constructor: true } }, /no option "constructor"/],
  [
    'another optimizer',
    { ...tuning, options: { disabledOptimizers: ['ConstantFolding'] } },
    /disabledOptimizers cannot/,
  ],
  [
    'two in one',
    { ...tuning, options: { disabledOptimizers: ['SkipLayerNormFusion;x'] } },
    /disabledOptimizers cannot/,
  ],
  ['no list', { ...tuning, options: { disabledOptimizers: 'SkipLayerNormFusion' } }, /disabledOptimizers cannot/],
  ['another level', { ...tuning, options: { optimization: 'most' } }, /optimization cannot be "most"/],
  ['a word for a switch', { ...tuning, options: { memoryPattern: 'yes' } }, /memoryPattern cannot be "yes"/],
];

for (const [what, content, message] of refused)
  test(`refused: ${what}`, async (t) => {
    const source = await sourceWith(t, manifestOf(content));
    await assert.rejects(tunedOptions(source, onCpu), (error: unknown) => {
      assert.ok(error instanceof KdxError && error.code === 'invalid-tuning', String(error));
      assert.match(error.message, message);
      assert.match(error.message, /kdx\.json: tuning of onnx\/model\.onnx: /);
      assert.equal(error.exitCode, 2);
      assert.match(error.suggestions.join(), /--tune/);
      return true;
    });
  });

test('a kdx.json that is no JSON is refused', async (t) => {
  for (const content of ['{', '', `${'['.repeat(9999)}${']'.repeat(9999)}`])
    await assert.rejects(tunedOptions(await sourceWith(t, content), onCpu), { code: 'invalid-tuning' });
});

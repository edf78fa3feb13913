/** Session options that kdx export --tune left in kdx.json: used where they hold, reported, and passed to both processes. */
import assert from 'node:assert/strict';
import { cp, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { coldStarts, startStopwatch } from '../../plugins/bench/src/index.ts';
import { reportNotes } from '../../plugins/bench/src/page/statements.ts';
import { sessionOptions } from '../../plugins/bench/src/session-options.ts';
import { checkpointModel, thisMachine, type TunedOptions, type Tuning } from '../../src/classifier/index.ts';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import { modelOf, tensorOf, type Model } from '../../src/graph/index.ts';
import { readModel, writeModel } from '../../src/onnx/index.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { useBenchScene } from './bench-scene.ts';

const { place, run } = useBenchScene({ length: 16, seconds: 0.2 }, async (at) => {
  await writeTinyClassifier(at('teacher'));
  await cp(at('teacher'), at('student'), { recursive: true });
  await rm(at('student/model.safetensors'));
  await writeModel(at('student/onnx/model.onnx'), checkpointModel(await loadCheckpoint(at('teacher'))));
});

const tuning: Tuning = {
  ...thisMachine(),
  options: { disabledOptimizers: ['SkipLayerNormFusion'], memoryPattern: true, spinning: true },
  threads: 2,
};

const writeTuning = (own: Tuning) =>
  writeFile(
    place('student/kdx.json'),
    JSON.stringify({ kind: 'export', models: [{ path: 'onnx/model.onnx', tuning: own }] }),
  );

test('options: threads as asked, and what was tuned', () => {
  const usual = sessionOptions('cpu', 1);
  assert.deepEqual(usual, {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const optimization = { disable_specified_optimizers: 'SkipLayerNormFusion' };
  const session = { intra_op: { allow_spinning: '0' }, disable_prepacking: '1' };
  assert.deepEqual(sessionOptions('cpu', 2, { disabledOptimizers: ['SkipLayerNormFusion'], prepacking: false }), {
    ...usual,
    intraOpNumThreads: 2,
    extra: { session, optimization },
  });
});

test('a tuning for this machine is used and named, per model', async () => {
  await writeTuning(tuning);
  const report = await run();
  assert.equal(report.teacher.sessionOptions, undefined);
  const { spinning: _, ...used } = tuning.options;
  assert.deepEqual(report.students[0]!.sessionOptions, used);
  const notes = reportNotes(report).filter((note) => note.startsWith('student: session'));
  assert.deepEqual(notes, [
    'student: session options as tuned for this machine: SkipLayerNormFusion off, memoryPattern on',
  ]);
});

test('a tuning for another processor is not used, and that is said', async () => {
  await writeTuning({ ...tuning, processor: 'Other' });
  const report = await run();
  const [student] = report.students;
  assert.equal(student!.sessionOptions, undefined);
  assert.match(student!.tuningUnused!, /^tuned for Other, this is /);
  assert.ok(reportNotes(report).some((note) => /^student: tuned for Other, .*default session options$/.test(note)));
});

test('a tuning that is none is refused before anything is measured', async () => {
  await writeTuning({ ...tuning, options: { disabledOptimizers: ['ConstantFolding'] } });
  await assert.rejects(run(), { code: 'invalid-tuning' });
});

/** LayerNormalization(x + y), which ONNX Runtime fuses. */
function fusible(): Model {
  const info = (name: string) => ({ name, dtype: 'int64' as const, shape: [2, 3, 4] });
  const node = (opType: string, inputs: readonly string[], output: string) => ({
    ...{ name: output, opType, domain: '', inputs, outputs: [output] },
    attributes: opType === 'Cast' ? { to: { type: 'int' as const, value: 1 } } : {},
  });
  return modelOf({
    name: 'fusible',
    inputs: [info('x'), info('y')],
    outputs: [{ name: 'z', dtype: 'float32', shape: [2, 3, 4] }],
    initializers: new Map([
      ['scale', tensorOf('float32', [4], [1, 2, 3, 4])],
      ['bias', tensorOf('float32', [4], [0, 0, 1, 1])],
    ]),
    nodes: [
      node('Cast', ['x'], 'a'),
      node('Cast', ['y'], 'b'),
      node('Add', ['a', 'b'], 'sum'),
      node('LayerNormalization', ['sum', 'scale', 'bias'], 'z'),
    ],
    values: new Map(),
  });
}

test('every option that is tried reaches the processes of the stopwatch and of the cold start', async () => {
  const file = place('fusible.onnx');
  await writeModel(file, fusible());
  const dims = [2, 3, 4];
  const data = BigInt64Array.from({ length: 24 }, (_, i) => BigInt(i % 5));
  const feeds = { x: { dims, data }, y: { dims, data } };
  const choices: readonly TunedOptions[] = [
    {},
    { disabledOptimizers: ['SkipLayerNormFusion'] },
    { optimization: 'basic' },
    { optimization: 'extended' },
    { memoryPattern: true },
    { prepacking: false },
    { spinning: true },
  ];
  const optimized = (i: number) => place(`optimized-${i}.onnx`);
  const models = choices.map((options, i) => ({
    name: String(i),
    file,
    feeds: [feeds],
    sessionOptions: {
      ...sessionOptions('cpu', 2, options),
      optimizedModelFilePath: optimized(i),
    },
  }));
  const stopwatch = await startStopwatch(models);
  try {
    for (const run of stopwatch.runs) assert.ok(((await run(0)) as number) > 0);
  } finally {
    await stopwatch.close();
  }
  const isFused = async (i: number) =>
    (await readModel(optimized(i))).graph.nodes.some(({ opType }) => opType === 'SkipLayerNormalization');
  const fused: boolean[] = [];
  for (const i of choices.keys()) fused.push(await isFused(i));
  assert.deepEqual(fused, [true, false, false, true, true, true, true]);

  const tensors = Object.fromEntries(
    Object.entries(feeds).map(([name, feed]) => [name, { dtype: 'int64' as const, ...feed }]),
  );
  for (const i of [0, 1]) await rm(optimized(i));
  const jobs = models.slice(0, 2).map(({ name, sessionOptions: own }) => ({
    ...{ name, file, sessionOptions: own },
    feeds: tensors,
  }));
  assert.equal((await coldStarts(jobs, { processes: 1, seed: 0 })).size, 2);
  assert.deepEqual([await isFused(0), await isFused(1)], [true, false]);
});

/** A whole run on small models: contract, figures that are known beforehand, bad input, interruption. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { BenchOptions } from '../../plugins/bench/src/index.ts';
import { checkpointModel, openSource } from '../../src/classifier/index.ts';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import { loadTaskData } from '../../src/data/index.ts';
import { bertFlops, classifierParameters, parameterCount } from '../../src/nn/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { rejects } from '../support/failure.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { useBenchScene } from './bench-scene.ts';

const scene = useBenchScene({ length: 32, seconds: 0.3 }, async (place) => {
  const wide = { hidden_size: 48, intermediate_size: 96 };
  await writeTinyClassifier(place('teacher'), { config: { ...wide, num_hidden_layers: 4 } });
  await writeTinyClassifier(place('student'), { config: { ...wide, num_hidden_layers: 1 }, seed: 2 });
  await writeTinyClassifier(place('three'), { config: { id2label: { 0: 'a', 1: 'b', 2: 'c' } } });
  await writeTinyClassifier(place('short'), { config: { max_position_embeddings: 16 } });
  // What `kdx export` leaves: no weights but those in onnx/model.onnx.
  await cp(place('student'), place('exported'), { recursive: true });
  await writeModel(place('exported/onnx/model.onnx'), checkpointModel(await loadCheckpoint(place('student'))));
  await rm(place('exported/model.safetensors'));
});
const { place, run } = scene;

test('checkpoints and their exports side by side, with data', async () => {
  const [teacherDir, studentDir, exported] = [place('teacher'), place('student'), place('exported')];
  const file = join(exported, 'onnx', 'model.onnx');
  const out = place('new/out');
  const report = await run({
    students: [studentDir, exported, file, teacherDir],
    data: scene.data,
    coldStarts: 1,
    out,
  });
  const [student, folderStudent, fileStudent, twin] = report.students;
  const { teacher } = report;

  assert.deepEqual(
    [teacher, ...report.students].map(({ name }) => basename(name)),
    ['teacher', 'student', 'exported', 'exported (2)', 'teacher (2)'],
  );
  for (const model of [teacher, ...report.students]) {
    assert.ok(model.latencyMs.p50 > 0 && model.latencyMs.p50 <= model.latencyMs.p90);
    assert.ok(model.coldStartMs! > model.latencyMs.p50);
    assert.ok(model.peakRssBytes! > 20e6);
    assert.ok(Math.abs(model.throughput * model.latencyMs.p50 - 1000) < 1e-6);
    assert.equal(model.metric!.name, 'accuracy');
  }

  // The same weights, whether they come as a checkpoint, as an exported folder or as its file.
  const { config } = await openSource(studentDir);
  const flops = bertFlops({ layers: 1, hidden: 48, intermediate: 96, labels: 2 }, 32);
  for (const same of [student!, folderStudent!, fileStudent!]) {
    assert.equal(same.flops, flops);
    assert.equal(same.bytes, (await stat(file)).size);
    assert.equal(same.sha256, student!.sha256);
    assert.deepEqual(same.metric, student!.metric);
    assert.equal(same.agreement, student!.agreement);
    assert.ok(Math.abs(same.compressionRatio - teacher.bytes / same.bytes) < 1e-12);
    assert.ok(Math.abs(same.retention! - same.metric!.value / teacher.metric!.value) < 1e-12);
  }
  const parameters = parameterCount(classifierParameters(config, 2));
  assert.equal(student!.parameters, parameters);
  // A file also holds a few constants.
  assert.ok(Math.abs(fileStudent!.parameters - parameters) < 10);

  assert.deepEqual([twin!.retention, twin!.agreement, twin!.compressionRatio], [1, 1, 1]);
  assert.ok(student!.agreement! < 1);
  assert.ok(student!.speedup.ratio > 1.2, `${student!.speedup.ratio}`);

  assert.equal(report.samples.length, 6);
  assert.ok(report.samples.every(({ ms }) => ms.length === report.rounds));
  assert.equal(report.partial, false);
  const { scenario, environment } = report;
  assert.deepEqual([scenario.device, scenario.threads, scenario.batch, scenario.length], ['cpu', 1, 1, 32]);
  assert.equal(scenario.text, 'development set');
  assert.equal(environment.threads, 1);
  assert.deepEqual((await readdir(out)).sort(), ['bench.json', 'report.html', 'report.md']);
  assert.deepEqual(JSON.parse(await readFile(join(out, 'bench.json'), 'utf8')), report);
});

test('without data there is no metric, and a batch counts its sequences', async () => {
  const report = await run({ batch: 3, length: 16 });
  const [student] = report.students;
  assert.equal(report.scenario.text, 'built-in sentences');
  assert.deepEqual(
    [student!.metric, student!.retention, student!.agreement, student!.coldStartMs],
    [null, null, null, null],
  );
  assert.ok(Math.abs((student!.throughput * student!.latencyMs.p50) / 3000 - 1) < 1e-9);
  assert.equal(student!.flops, bertFlops({ layers: 1, hidden: 48, intermediate: 96, labels: 2 }, 16));
});

test('a regression has a metric and no agreement', async () => {
  const dev = place('scores.tsv');
  const lines = scene.data.dev.slice(0, 12).map(({ text }, i) => `${text}\t${(i * 7) % 5}`);
  await writeFile(dev, `text\tlabel\n${lines.join('\n')}\n`);
  const source = { train: dev, dev, regression: true };
  const scores = await loadTaskData(source, { splits: ['dev'] });
  for (const [seed, name] of ['regression', 'regression-student'].entries())
    await writeTinyClassifier(place(name), {
      seed,
      config: { id2label: { 0: 'LABEL_0' }, problem_type: 'regression' },
    });
  const report = await run({
    teacher: place('regression'),
    students: [place('regression-student')],
    data: scores,
  });
  assert.equal(report.teacher.metric!.name, 'pearson_spearman');
  assert.equal(report.students[0]!.agreement, null);
  assert.ok(Math.abs(report.students[0]!.metric!.value) <= 1);
});

test('bad input is named before anything is measured', async () => {
  const taken = place('taken');
  await writeFile(taken, '');
  await mkdir(place('empty'), { recursive: true });
  const cases: readonly [options: Partial<BenchOptions>, code: string, message: RegExp][] = [
    [{ students: [] }, 'no-student', /no student/],
    [{ students: [place('three')] }, 'label-mismatch', /teacher has 2 label\(s\), .*three has 3/],
    [
      { teacher: place('three'), students: [place('three')], data: scene.data },
      'label-mismatch',
      /three has 3 .* sst2 has 2/,
    ],
    [{ students: [place('short')] }, 'length-over-positions', /short takes at most 16 tokens, --length is 32/],
    [
      { maxLength: 161, data: scene.data },
      'length-over-positions',
      /teacher takes at most 160 tokens, --max-length is 161/,
    ],
    [{ students: [place('empty')] }, 'not-a-checkpoint', /empty/],
    [{ students: [place('absent/model.onnx')] }, 'file-not-found', /absent/],
    [{ out: taken }, 'not-a-folder', /taken is a file/],
  ];
  for (const [options, code, message] of cases) await rejects(run(options), code, message);
});

test('an interruption keeps what was measured, at whatever stage it comes', async () => {
  const stoppedAt = (stage: RegExp) => {
    const controller = new AbortController();
    let open = false;
    const progress = {
      ...silentProgress,
      start: (label: string) => void (open = stage.test(label)),
      update: () => open && controller.abort(),
    };
    return { progress, signal: controller.signal, coldStarts: 1, data: scene.data };
  };
  const latency = await run(stoppedAt(/^measure/));
  assert.deepEqual([latency.partial, latency.stopReason, latency.rounds], [true, 'interrupted', 1]);
  assert.equal(latency.students[0]!.speedup.ci95, null);
  assert.equal(latency.teacher.coldStartMs, null);

  const starts = await run(stoppedAt(/^cold start/));
  assert.deepEqual([starts.partial, starts.stopReason === 'interrupted'], [true, false]);
  assert.equal(starts.teacher.metric, null);

  const quality = await run(stoppedAt(/^evaluate student/));
  assert.ok(quality.teacher.metric);
  assert.deepEqual([quality.partial, quality.students[0]!.metric, quality.students[0]!.agreement], [true, null, null]);

  await assert.rejects(run(stoppedAt(/^warm up/)), { name: 'AbortError' });
});

test('nothing stays in the folder for temporary files', async () => {
  const own = place('temporary');
  await mkdir(own);
  const old = process.env.TMPDIR;
  process.env.TMPDIR = own;
  try {
    await run();
    await assert.rejects(run({ signal: AbortSignal.abort() }), { name: 'AbortError' });
  } finally {
    if (old === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = old;
  }
  // The runtime and tsx leave files of their own.
  assert.deepEqual(
    (await readdir(own)).filter((name) => name.startsWith('kdx')),
    [],
  );
});

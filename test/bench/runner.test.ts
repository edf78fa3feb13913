/** The folder that measures elsewhere, run for real in a process with onnxruntime-node, and what is imported of it. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  importInto,
  readResult,
  renderHtml,
  renderMarkdown,
  reportOfImports,
  reportTable,
  type BenchReport,
} from '../../plugins/bench/src/index.ts';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import { checkpointModel } from '../../src/classifier/index.ts';
import { sha256, sha256File } from '../../src/files/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { latencyOf, median, pairedSpeedup } from '../../src/timing/index.ts';
import { runKdx } from '../cli/program.ts';
import { runCommand } from '../cli/run-command.ts';
import { failure } from '../support/failure.ts';
import { exportTo, runThere, spoilCell, tinyModels, withoutWeb, type Models } from './runner-folder.ts';
import { sampleReport } from './sample.ts';

const skip = withoutWeb;
let models: Models;
let folder: string;
/** Of a real run. */
let resultFile: string;
before(async () => {
  models = await tinyModels();
  folder = join(models.dir, 'runner');
  resultFile = join(models.dir, 'result.json');
  if (skip) return;
  await exportTo(folder, models, { grid: { batch: [1, 2], length: [16, 'natural'], threads: [1] } });
  const { code, stdout, stderr } = await runThere(folder, ['--out', resultFile, '--label', 'a device']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /1 x 16, 1 thread: median ms per run\n +[\d.]+ +teacher\n +[\d.]+ +x[\d.]+ +student/);
});
after(() => models.remove());

const place = (name: string) => join(models.dir, name);

/** A report of models with these hashes. */
async function reportOfHashes(teacher: string, student: string, name: string): Promise<string> {
  const report = sampleReport({ models: sampleReportModels });
  const file = place(name);
  const students = report.students.map((model) => ({ ...model, sha256: student }));
  await writeFile(file, JSON.stringify({ ...report, teacher: { ...report.teacher, sha256: teacher }, students }));
  return file;
}
const sampleReportModels = [
  { name: 'big', ms: 100, megabytes: 400 },
  { name: 'little', ms: 10, megabytes: 40 },
];

const modelHashes = async () =>
  Promise.all(['models/0/model.onnx', 'models/1/model.onnx'].map((name) => sha256File(join(folder, name))));

test('the folder holds the models, their plan and eight inputs of each shape', { skip }, async () => {
  assert.deepEqual((await readdir(folder)).sort(), [
    ...['NOTICE.txt', 'README.txt', 'index.html', 'inputs.json', 'measure.js', 'models', 'package.json', 'plan.js'],
    ...[
      'plan.json',
      'run-browser.js',
      'run.mjs',
      'serve.mjs',
      'sessions.js',
      'sha256.js',
      'style.css',
      'web',
      'worker.js',
    ],
  ]);
  const plan = JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8')) as {
    models: { name: string; sha256: string; file: string }[];
    settings: { seed: number; seconds: number };
  };
  assert.deepEqual(
    plan.models.map(({ name }) => name),
    ['teacher', 'student'],
  );
  assert.deepEqual(
    plan.models.map((model) => model.sha256),
    await modelHashes(),
  );
  assert.deepEqual([plan.settings.seed, plan.settings.seconds], [7, 0.2]);
  const inputs = JSON.parse(await readFile(join(folder, 'inputs.json'), 'utf8')) as {
    tensors: { dims: number[]; data: number[] }[];
    cells: Record<string, number>[][][];
  };
  const [fixed, , pair] = inputs.cells;
  for (const [cell, batch] of [
    [fixed!, 1],
    [pair!, 2],
  ] as const)
    for (const turns of cell) {
      assert.equal(turns.length, 8);
      // Of twelve sentences, two to a row: some come round again.
      assert.equal(new Set(turns.map(({ input_ids }) => input_ids)).size, batch === 1 ? 6 : 3);
      for (const turn of turns) {
        assert.deepEqual(Object.keys(turn), ['input_ids', 'attention_mask', 'token_type_ids']);
        assert.deepEqual(inputs.tensors[turn['input_ids']!]!.dims, [batch, 16]);
      }
    }
  const again = place('again');
  await exportTo(again, models, { grid: { batch: [1, 2], length: [16, 'natural'], threads: [1] } });
  for (const name of ['plan.json', 'inputs.json'])
    assert.equal(await sha256File(join(again, name)), await sha256File(join(folder, name)), name);
});

test('a result brings raw samples, and the report has the medians and the ratios of them', { skip }, async () => {
  const result = await readResult(resultFile);
  assert.deepEqual([result.runtime.name, result.runtime.version], ['onnxruntime-node', '1.30.0']);
  assert.equal(result.environment.node, process.versions.node);
  assert.ok(result.environment.logicalCores >= 1 && result.environment.memoryBytes! > 1e8);
  assert.deepEqual(
    result.cells.map(({ cell }) => cell),
    [0, 1, 2, 3],
  );
  const out = place('alone');
  const report = await reportOfImports([resultFile], out);
  const [run] = report.imported!;
  assert.deepEqual([run!.label, run!.backend, run!.runtime.name], ['a device', 'cpu', 'onnxruntime-node']);
  for (const [i, { models: raw, controlMs, openings }] of result.cells.entries()) {
    const cell = run!.cells[i]!;
    const [teacher, student] = raw.map(({ samplesMs }) => samplesMs);
    assert.ok(openings.length >= 3 && openings.every((rounds) => rounds >= 5));
    assert.deepEqual(
      cell.models.map(({ latencyMs }) => latencyMs.p50),
      [median(teacher!), median(student!)],
    );
    const { first, ...latency } = cell.models[1]!.latencyMs;
    assert.deepEqual([first, latency], [raw[1]!.firstInferenceMs, latencyOf(student!, openings)]);
    const { verdict: _, ...speedup } = cell.models[1]!.speedup!;
    assert.deepEqual(speedup, pairedSpeedup(teacher!, student!, openings));
    const { valid: __, ...control } = cell.control;
    assert.deepEqual(control, pairedSpeedup(teacher!, controlMs, openings));
    assert.deepEqual(
      cell.samples.map(({ ms }) => ms),
      [teacher, student, controlMs],
    );
  }
  assert.deepEqual(
    run!.cells.map(({ scenario: { batch, length, threads } }) => [batch, length, threads]),
    [
      [1, 16, 1],
      [1, 'natural', 1],
      [2, 16, 1],
      [2, 'natural', 1],
    ],
  );
  assert.ok(run!.cells[0]!.models[1]!.speedup!.ratio > 1.2);
  assert.equal(report.teacher.bytes, (await stat(join(folder, 'models/0/model.onnx'))).size);
  assert.ok(report.teacher.flops! > 1e6);
  assert.deepEqual((await readdir(out)).sort(), ['bench.json', 'report.html', 'report.md']);
  assert.deepEqual(JSON.parse(await readFile(join(out, 'bench.json'), 'utf8')), report);
});

test('without onnxruntime-node it says what to type; in WebAssembly it needs nothing', { skip }, async () => {
  const { code, stderr } = await runThere(folder, ['--out', place('none.json')], { withPackages: false });
  assert.equal(code, 1);
  assert.match(stderr, /onnxruntime-node is not here\. In this folder: npm install onnxruntime-node/);
  const out = place('web.json');
  const small = place('small');
  await exportTo(small, models, { grid: { batch: [1], length: [16], threads: [1, 2] } });
  const web = await runThere(small, ['--runtime', 'web', '--out', out], { withPackages: false });
  assert.equal(web.code, 0, web.stderr);
  const { runtime, cells, skipped, label } = await readResult(out);
  assert.deepEqual([runtime.name, runtime.backend, cells.length, label], ['onnxruntime-web', 'wasm', 1, null]);
  assert.deepEqual(
    skipped.map(({ cell }) => cell),
    [1],
  );
  const broken = place('broken');
  await cp(small, broken, { recursive: true });
  await writeFile(join(broken, 'models/1/model.onnx'), 'cut short');
  const refused = await runThere(broken, ['--out', place('none.json')], { withPackages: false });
  assert.match(refused.stderr, /models\/1\/model\.onnx is not the file that was planned/);
  assert.equal(refused.code, 1);
});

test('a combination that fails is left out with its reason, and the others are kept', { skip }, async () => {
  const spoilt = place('spoilt');
  await exportTo(spoilt, models, { grid: { batch: [1], length: [8, 16, 32], threads: [1] }, seconds: 0 });
  await spoilCell(spoilt, 1);
  const out = place('spoilt.json');
  const { code, stderr } = await runThere(spoilt, ['--out', out]);
  assert.equal(code, 1);
  assert.match(stderr, /1 x 16, 1 thread \(2 of 3\): left out, .*[Gg]ather/);
  const { cells, skipped } = await readResult(out);
  assert.deepEqual([cells.map(({ cell }) => cell), skipped.map(({ cell }) => cell)], [[0, 2], [1]]);
  assert.match(renderMarkdown(await reportOfImports([out])), /1 x 16, 1 thread: left out, .*[Gg]ather/);

  for (const cell of [0, 2]) await spoilCell(spoilt, cell);
  const none = await runThere(spoilt, ['--out', place('none.json')]);
  assert.deepEqual([none.code, /nothing was measured/.test(none.stderr)], [1, true]);
  await assert.rejects(stat(place('none.json')), /ENOENT/);
});

test('a reason can be told whatever a runtime says', { skip }, async () => {
  const { leftOut } = (await import(join(folder, 'plan.js'))) as { leftOut: (cell: number, reason: string) => object };
  assert.deepEqual(leftOut(3, '\u001b[31mno\r\nroom\u202e\n'), { cell: 3, reason: '[31mno room' });
  assert.deepEqual(leftOut(0, 'x'.repeat(9000)), { cell: 0, reason: 'x'.repeat(500) });
});

test('weights in a file of their own, and Ctrl-C in the middle', { skip }, async () => {
  const student = place('apart/weights.onnx');
  await mkdir(place('apart'));
  await writeModel(student, checkpointModel(await loadCheckpoint(models.student)), { externalData: 'always' });
  const apart = place('apart/runner');
  await exportTo(apart, { ...models, student }, { seconds: 60 });
  assert.deepEqual(await readdir(join(apart, 'models/1')), ['model.onnx', 'weights.onnx_data']);
  for (const runtime of ['node', 'web']) {
    const out = place(`apart-${runtime}.json`);
    let sent = false;
    const { code, stderr } = await runThere(apart, ['--runtime', runtime, '--out', out], {
      withPackages: runtime === 'node',
      onStderr: (child, text) => {
        if (sent || !text.includes('measure 0 %')) return;
        sent = true;
        setTimeout(() => child.kill('SIGINT'), 500);
      },
    });
    assert.equal(code, 0, stderr);
    const report = await reportOfImports([out]);
    assert.deepEqual([report.stopReason, report.partial], ['interrupted', true]);
    assert.ok(report.rounds > 0);
    assert.equal(report.students[0]!.inputs, 'random token ids');
    const sizes = ['model.onnx', 'weights.onnx_data'].map(
      async (name) => (await stat(join(apart, 'models/1', name))).size,
    );
    assert.equal(
      report.students[0]!.bytes,
      (await Promise.all(sizes)).reduce((a, b) => a + b),
    );
  }
});

test('results are added to the report of the same models, each once', { skip }, async () => {
  const [teacher, student] = (await modelHashes()) as [string, string];
  const file = await reportOfHashes(teacher, student, 'report.json');
  const out = place('merged');
  const before = JSON.parse(await readFile(file, 'utf8')) as BenchReport;
  const { imported, ...own } = await importInto(file, [resultFile, resultFile], out);
  assert.deepEqual(own, before, 'what was measured here stays as it was');
  assert.equal(imported!.length, 1);
  assert.deepEqual(
    imported![0]!.cells[0]!.models.map(({ name }) => name),
    ['big', 'little'],
    'as the report calls them',
  );
  const again = await importInto(join(out, 'bench.json'), [resultFile], out);
  assert.equal(again.imported!.length, 1);

  const page = await readFile(join(out, 'report.html'), 'utf8');
  const [p50] = /data-path="imported\.0\.cells\.0\.models\.1\.latencyMs\.p50">([\d.]+)/.exec(page)!.slice(1);
  assert.ok(Math.abs(Number(p50) / imported![0]!.cells[0]!.models[1]!.latencyMs.p50 - 1) < 0.01);
  assert.match(page, /<h2>On a device<\/h2>\n<p class="scenario">onnxruntime-node 1\.30\.0 \(cpu\), /);
  const markdown = await readFile(join(out, 'report.md'), 'utf8');
  assert.match(markdown, /#### On a device\n\nonnxruntime-node [^]*1 x natural, 1 thread[^]*\| little +\| +[\d.]+/);
  const text = reportTable({ ...own, imported: imported! });
  assert.match(text, /^On a device: onnxruntime-node 1\.30\.0 \(cpu\), /m);
  assert.match(text, /^1 x 16, 1 thread[^\n]*:\n *model +p50 ms +p90 ms +speed\n/m);
  assert.ok(text.split('\n').every((line) => line.length <= 80));

  const other = await reportOfHashes(teacher, '0'.repeat(64), 'other.json');
  const another = await reportOfHashes('0'.repeat(64), student, 'another.json');
  for (const [name, message] of [
    [other, /another student: student, SHA-256 [0-9a-f]{64}/],
    [another, /another teacher/],
  ] as const)
    await assert.rejects(importInto(name, [resultFile], place('refused')), failure('import-mismatch', message));
});

test('a run without a valid control tells no speed', { skip }, async () => {
  const file = await changed('unsteady.json', (result) => {
    for (const cell of result.cells) cell.controlMs = cell.models[0]!.samplesMs.map((ms) => 1.3 * ms);
  });
  const report = await reportOfImports([file]);
  assert.equal(report.imported![0]!.cells[0]!.models[1]!.speedup!.verdict, 'invalid run');
  for (const text of [await renderHtml(report), renderMarkdown(report), reportTable(report)]) {
    assert.match(text, /It excludes 1, so no speed is told here/);
    assert.doesNotMatch(text, /faster/);
  }
});

interface Editable {
  format: string;
  version: number;
  label: unknown;
  plan: { models: { sha256: string; name: string }[]; cells: { flops: number[] }[] };
  cells: { cell: number; models: { samplesMs: number[] }[]; controlMs: number[]; openings: number[] }[];
  sha256?: string;
}

/** A result with a change, and the hash that fits to it. */
async function changed(name: string, change: (result: Editable) => void): Promise<string> {
  const { sha256: _, ...result } = JSON.parse(await readFile(resultFile, 'utf8')) as Editable;
  change(result);
  await writeFile(place(name), JSON.stringify({ ...result, sha256: sha256(JSON.stringify(result)) }));
  return place(name);
}

test('what was changed, is damaged or hostile is refused, and it is said why', { skip }, async () => {
  const text = await readFile(resultFile, 'utf8');
  const files: readonly [name: string, content: string, message: RegExp][] = [
    ['cut', text.slice(0, -100), /it is no JSON/],
    ['tampered', text.replace(/"samplesMs":\[/, '"samplesMs":[0.0001,'), /it was changed or damaged/],
    ['foreign', JSON.stringify({ plan: 1 }), /it is no result of run\.mjs/],
    ['null', 'null', /it is no result/],
    ['deep', `${'['.repeat(1e5)}${']'.repeat(1e5)}`, /it is no /],
  ];
  for (const [name, content, message] of files) {
    await writeFile(place(name), content);
    await assert.rejects(reportOfImports([place(name)]), failure('invalid-result', message), name);
  }
  const changes: readonly [change: (result: Editable) => void, message: RegExp][] = [
    [(result) => (result.version = 1), /it is of format 1, expected 2/],
    [(result) => (result.label = '\u001b[2Jgone'), /label: holds control characters/],
    [(result) => (result.label = 'x'.repeat(1e5)), /label: /],
    [(result) => (result.plan.models[0]!.name = 'a\u202eb'), /plan\.models\.0\.name: holds control/],
    [(result) => (result.plan.models[0]!.sha256 = 'x'), /plan\.models\.0\.sha256: is no SHA-256/],
    [(result) => (result.plan.models[1]!.name = 'teacher'), /two have the same name/],
    [(result) => result.plan.cells[0]!.flops.pop(), /plan\.cells\.0\.flops: expected 2 values/],
    [(result) => (result.cells[0]!.models[0]!.samplesMs[3] = -1), /cells\.0\.models\.0\.samplesMs\.3: /],
    [(result) => (result.cells[0]!.cell = 9), /cells\.0\.cell: 9 is no cell/],
    [(result) => (result.cells[1]!.cell = 0), /cells\.1\.cell: 0 is no cell of the plan, or there twice/],
    [(result) => result.cells[0]!.controlMs.pop(), /same number of samples/],
    [(result) => result.cells[0]!.openings.push(1), /cells\.0\.openings: expected numbers that add up/],
    [(result) => result.cells[0]!.models.pop(), /cells\.0\.models: 1 series, expected 2/],
    [(result) => (result.cells = []), /cells: /],
    [(result) => Object.assign(result, { more: 1 }), /more/],
  ];
  for (const [change, message] of changes) {
    const file = await changed('changed.json', change);
    await assert.rejects(reportOfImports([file], place('never')), failure('invalid-result', message), String(message));
  }
  await assert.rejects(stat(place('never')), /ENOENT/);
  await assert.rejects(reportOfImports([place('absent.json')]), failure('file-not-found', /absent\.json/));
});

test('text of a device is never markup', { skip }, async () => {
  const file = await changed('markup.json', (result) => (result.label = '<img src=x onerror=alert(1)> | `x`'));
  const report = await reportOfImports([file]);
  assert.doesNotMatch(await renderHtml(report), /<img/);
  assert.doesNotMatch(renderMarkdown(report), /[^\\]<img/);
});

test('a folder with anything in it is refused, and nothing is left half-written', { skip }, async () => {
  const taken = place('taken');
  await mkdir(taken);
  await writeFile(join(taken, 'mine.txt'), 'x');
  for (const force of [false, true])
    await assert.rejects(exportTo(taken, models, { force }), failure('output-exists', /taken is not empty/));
  const target = place('target');
  await exportTo(target, models);
  await writeFile(join(target, 'result.json'), '{}');
  await assert.rejects(exportTo(target, models), failure('output-exists', /earlier folder/));
  await exportTo(target, models, { force: true });
  assert.equal((await readdir(target)).includes('result.json'), false);
  await rm(target, { recursive: true });

  const aborted = new AbortController();
  aborted.abort();
  await assert.rejects(exportTo(target, models, { signal: aborted.signal }), /abort/i);
  const length = [999];
  const tooLong = exportTo(target, models, { grid: { batch: [1], length, threads: [1] } });
  await assert.rejects(tooLong, failure('length-over-positions', /999/));
  assert.deepEqual(
    (await readdir(models.dir)).filter((name) => name.startsWith('target')),
    [],
  );
});

test('the command: export, refusals, import', { skip }, async () => {
  const words = ['--teacher', models.teacher, '--student', models.student];
  const bench = (...more: string[]) => runKdx(['bench', ...more]);
  const target = place('by-command');
  const made = await bench(...words, '--length', '16', '--seconds', '0.2', '--export-runner', target, '--json');
  const tokenizing = await runCommand(['bench', ...words, '--tokenize', 'in', '--export-runner', place('unmade')]);
  const alone = await runCommand(['bench', '--import', resultFile, '--out', place('command-out')]);
  const missing = await runCommand(['bench', '--import', place('absent.json')]);
  assert.equal(made.code, 0, made.stderr);
  const folderReport = JSON.parse(made.stdout) as { folder: string; files: number; combinations: number };
  assert.deepEqual([folderReport.folder, folderReport.combinations], [target, 1]);
  assert.equal(tokenizing.failure?.exitCode, 2);
  assert.match(tokenizing.text, /without tokenizing/);
  assert.equal(alone.text, '');
  assert.equal((alone.result as BenchReport).imported![0]!.label, 'a device');
  assert.equal(missing.failure?.exitCode, 2, missing.text);

  const measured = await bench(
    ...words,
    '--length',
    '16',
    '--seconds',
    '0.2',
    '--cold-starts',
    '0',
    '--import',
    resultFile,
  );
  assert.equal(measured.code, 0, measured.stderr);
  assert.match(measured.stdout, /^On a device: /m);
});

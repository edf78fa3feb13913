/** The command `kdx bench` in processes of its own: JSON, table, exit codes, Ctrl-C. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BenchReport } from '../../plugins/bench/src/index.ts';
import { runKdx, type RunOptions } from '../cli/program.ts';
import { runCommand } from '../cli/run-command.ts';
import { reviewsFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

let folder: string;
let models: string[];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-bench-command-'));
  await writeTinyClassifier(join(folder, 'teacher'));
  await writeTinyClassifier(join(folder, 'student'), { seed: 2, config: { num_hidden_layers: 1 } });
  models = ['--teacher', join(folder, 'teacher'), '--student', join(folder, 'student')];
});
after(() => rm(folder, { recursive: true }));

const bench = (words: readonly string[], options?: RunOptions) => runKdx(['bench', ...words], options);
const short = ['--seconds', '0.3', '--openings', '3', '--length', '16', '--cold-starts', '1'];

test('--json prints the contract and nothing else', async () => {
  const out = join(folder, 'out');
  const data = ['--data', reviewsFolder, '--task', 'sst2'];
  const { code, stdout, stderr } = await bench([...models, ...short, ...data, '--out', out, '--json']);
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout) as BenchReport;
  for (const model of [report.teacher, ...report.students]) {
    const keys = ['parameters', 'flops', 'bytes', 'latencyMs', 'throughput', 'coldStartMs', 'peakRssBytes', 'metric'];
    for (const key of keys) assert.notEqual(model[key as keyof typeof model] ?? null, null, key);
    for (const key of ['p50', 'p90', 'ci95'] as const) assert.notEqual(model.latencyMs[key], null, key);
  }
  const [student] = report.students;
  for (const key of ['compressionRatio', 'retention', 'agreement'] as const)
    assert.equal(typeof student![key], 'number');
  assert.ok(student!.speedup.ratio > 0 && student!.speedup.ci95!.length === 2);
  assert.ok(report.openings.length >= 3 && report.openings.every((rounds) => rounds >= 5));
  assert.equal(report.environment.onnxruntime, '1.30.0');
  assert.deepEqual(JSON.parse(await readFile(join(out, 'bench.json'), 'utf8')), report);
});

test('people get a table and a sentence', async () => {
  const { code, stdout, stderr } = await bench([...models, ...short]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^model +params +FLOPs +size +p50 ms/);
  assert.match(stdout, /^student: (x\d|as fast|speed not known)/m);
  assert.ok(stdout.split('\n').every((line) => line.length <= 80));
});

test("a user's mistake ends with code 2 and what to type", async () => {
  const [noStudent, tooLong, noTask] = await Promise.all([
    bench(models.slice(0, 2)),
    bench([...models, '--length', '512', '--json']),
    bench([...models, '--data', reviewsFolder]),
  ]);
  assert.deepEqual([noStudent.code, tooLong.code, noTask.code], [2, 2, 2]);
  assert.match(noStudent.stderr, /student/);
  const { error } = JSON.parse(tooLong.stdout) as { error: { code: string; suggestions: string[] } };
  assert.equal(error.code, 'length-over-positions');
  assert.deepEqual(error.suggestions, ['--length 160']);
  assert.match(noTask.stderr, /--task/);
});

test('lists and percentages are read, and what is wrong in one is named', async () => {
  const cases: readonly [words: string[], message: RegExp][] = [
    [['--batch', '1,x'], /--batch: expected whole numbers from 1 on, found 'x'/],
    [['--length', '2'], /--length: expected whole numbers from 3 on or natural, found '2'/],
    [['--length', '16,,32'], /found ''/],
    [['--threads', '1,0'], /--threads: expected whole numbers from 1 on, found '0'/],
    [['--baseline', 'x', '--fail-on', '5'], /--fail-on: expected a percentage such as 5%, found '5'/],
    [['--fail-on', '5%'], /--baseline/],
    [['--baseline', join(folder, 'absent.json')], /absent\.json does not exist/],
  ];
  for (const [words, message] of cases) {
    const { failure, text } = await runCommand(['bench', ...models, ...words]);
    assert.equal(failure?.exitCode, 2, text);
    assert.match(text, message);
  }
});

test('a regression against the baseline ends with code 3, after the whole result', async () => {
  const quick = ['--seconds', '0.3', '--openings', '3', '--length', '16,natural', '--cold-starts', '0'];
  const first = await bench([...models, ...quick, '--json']);
  assert.equal(first.code, 0, first.stderr);
  const report = JSON.parse(first.stdout) as BenchReport;
  assert.deepEqual(
    report.grid.map(({ scenario }) => scenario.length),
    [16, 'natural'],
  );
  const earlier = join(folder, 'earlier.json');
  const students = report.students.map((student) => ({ ...student, bytes: Math.round(student.bytes / 1.2) }));
  await writeFile(earlier, JSON.stringify({ ...report, students }));
  const gate = (...words: string[]) => bench([...models, ...quick, '--baseline', earlier, ...words]);
  const [failed, allowed] = await Promise.all([gate(), gate('--fail-on', '1000%', '--json')]);
  assert.equal(failed.code, 3, failed.stderr);
  assert.match(failed.stdout, /^student/m);
  assert.equal(allowed.code, 0, allowed.stderr);
  const { baseline } = JSON.parse(allowed.stdout) as BenchReport;
  assert.deepEqual([baseline!.file, baseline!.failOn], [earlier, 10]);
  assert.notEqual(baseline!.verdict, 'regression');
  assert.ok(baseline!.comparisons.some(({ measure, change }) => measure === 'bytes' && change! > 1.19));
});

test('Ctrl-C shows and keeps what there is', async () => {
  const out = join(folder, 'cut');
  const words = [...models, '--length', '16', '--seconds', '60', '--cold-starts', '200', '--out', out, '--json'];
  let sent = false;
  const { code, stdout, stderr } = await bench(words, {
    onStderr: (child, text) => {
      if (sent || !text.includes('warm up: done')) return;
      sent = true;
      setTimeout(() => child.kill('SIGINT'), 500);
    },
  });
  assert.equal(code, 130, stderr);
  const report = JSON.parse(stdout) as BenchReport;
  assert.equal(report.partial, true);
  assert.ok(report.rounds > 0 && report.teacher.latencyMs.p50 > 0);
  assert.deepEqual(JSON.parse(await readFile(join(out, 'bench.json'), 'utf8')), report);
});

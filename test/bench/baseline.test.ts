/** A run against an earlier one: what is compared, how, what is told, and which files are no earlier run. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkBaseline, compareWithBaseline } from '../../plugins/bench/src/baseline.ts';
import { readBaseline, type Baseline, type CellKey } from '../../plugins/bench/src/baseline-file.ts';
import type { BaselineReport } from '../../plugins/bench/src/baseline-report.ts';
import type { BenchReport } from '../../plugins/bench/src/report.ts';
import { taskNamed, type TaskData } from '../../src/data/index.ts';
import { failure } from '../support/failure.ts';
import { olderReport, sampleReport } from './sample.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-baseline-test-'));
});
after(() => rm(folder, { recursive: true }));

const failOn = 0.05;
const labels = Array.from({ length: 400 }, (_, i) => (i * 7) % 2);
const data: TaskData = {
  task: taskNamed('sst2'),
  train: [],
  dev: labels.map((label, id) => ({ id, text: `text ${id}`, label })),
  warnings: [],
};

/** Answers of which every `nth` is wrong. */
const answersWrong = (nth: number) => labels.map((label, i) => (i % nth === 0 ? 1 - label : label)).join(' ');

const models = [
  { name: 'teacher', ms: 250, megabytes: 400, accuracy: 0.95 },
  { name: 'small', ms: 60, megabytes: 100, accuracy: 0.9 },
  { name: 'tiny', ms: 15, megabytes: 40, accuracy: 0.9 },
];
const report = answering(sampleReport({ models }), 10);

function answering(given: BenchReport, nth: number): BenchReport {
  const wrong = { answers: answersWrong(nth), metric: { name: 'accuracy', value: 1 - 1 / nth, ci95: null } };
  return { ...given, students: given.students.map((student) => ({ ...student, ...wrong })) };
}

/** The times of some models multiplied, in all cells. */
function slowed(given: BenchReport, factors: Readonly<Record<string, number>>): BenchReport {
  const grid = given.grid.map((cell) => ({
    ...cell,
    samples: cell.samples.map((series) => ({ ...series, ms: series.ms.map((ms) => ms * (factors[series.name] ?? 1)) })),
  }));
  return { ...given, grid };
}

async function saved(content: unknown): Promise<Baseline> {
  const file = join(folder, 'bench.json');
  await writeFile(file, JSON.stringify(content));
  return readBaseline(file);
}

async function compared(earlier: unknown, now: BenchReport, limit = failOn): Promise<BaselineReport> {
  return compareWithBaseline(now, await saved(earlier), { failOn: limit, data });
}

const told = ({ comparisons }: BaselineReport) =>
  Object.fromEntries(comparisons.map(({ name, measure, verdict }) => [`${name} ${measure}`, verdict]));

test('the same run again is no regression in anything', async () => {
  const result = await compared(report, report);
  assert.deepEqual(told(result), {
    'small latency': 'no regression',
    'tiny latency': 'no regression',
    'small bytes': 'no regression',
    'tiny bytes': 'no regression',
    'small metric': 'no regression',
    'tiny metric': 'no regression',
  });
  assert.equal(result.verdict, 'no regression');
  assert.deepEqual(result.warnings, []);
  for (const { measure, change, ci95, before, after } of result.comparisons) {
    assert.equal(change, 1);
    assert.equal(before, after);
    if (measure === 'latency') assert.ok(ci95![0] < 1 && ci95![1] > 1);
  }
});

test('on a slower machine times are told relative to the teacher, and only a slower student is found', async () => {
  const result = await compared(report, slowed(report, { teacher: 1.3, small: 1.3, tiny: 1.3 * 1.12 }));
  assert.equal(result.verdict, 'regression');
  const [small, tiny] = result.comparisons;
  assert.deepEqual([small!.verdict, tiny!.verdict], ['no regression', 'regression']);
  assert.equal(tiny!.method, 'time relative to the teacher');
  assert.ok(Math.abs(tiny!.change! - 1.12) < 1e-9);
  assert.ok(Math.abs(tiny!.after - 1.12 * tiny!.before) < 1e-9 && tiny!.before < 0.1);
  assert.ok(tiny!.ci95![0] > 1.05 && tiny!.p! < 0.001);
});

test('near the threshold nothing can be told, and a speed-up is no regression', async () => {
  const result = await compared(report, slowed(report, { small: 1.05, tiny: 0.5 }));
  assert.deepEqual(
    result.comparisons.slice(0, 2).map(({ verdict }) => verdict),
    ['cannot tell', 'no regression'],
  );
  assert.equal(result.verdict, 'cannot tell');
});

test('another processor or teacher: times as they are, with a warning', async () => {
  const { cpu } = report.environment;
  const elsewhere = { ...report, environment: { ...report.environment, cpu: { ...cpu, model: 'another' } } };
  const moved = await compared(elsewhere, slowed(report, { teacher: 1.3, small: 1.3, tiny: 1.3 }));
  assert.ok(moved.comparisons.every(({ measure, method }) => measure !== 'latency' || method === 'time'));
  assert.equal(told(moved)['tiny latency'], 'regression');
  assert.match(moved.warnings.join(), /processors differ \(another\)/);

  const replaced = await compared({ ...report, teacher: { ...report.teacher, sha256: '11' } }, report);
  assert.match(replaced.warnings.join(), /teachers differ/);
  assert.equal(told(replaced)['teacher latency'], 'no regression');
  assert.equal(told(replaced)['teacher bytes'], 'no regression');
});

test('sizes are compared exactly', async () => {
  const sized = (bytes: number) => ({
    ...report,
    students: report.students.map((student) => ({ ...student, bytes: Math.round(student.bytes * bytes) })),
  });
  assert.equal(told(await compared(report, sized(1.06)))['small bytes'], 'regression');
  assert.equal(told(await compared(report, sized(1.049)))['small bytes'], 'no regression');
  assert.equal(told(await compared(report, sized(1.01), 0))['small bytes'], 'regression');
});

test('metrics are compared by pairs of answers on the same examples', async () => {
  const worse = await compared(report, answering(report, 4));
  const metric = worse.comparisons.find(({ measure }) => measure === 'metric')!;
  assert.equal(metric.verdict, 'regression');
  assert.ok(Math.abs(metric.change! - 0.75 / 0.9) < 1e-12);
  assert.ok(metric.ci95![1] < 0.95);
  assert.equal(told(await compared(answering(report, 4), report))['tiny metric'], 'no regression');

  const others = { ...report, data: { ...report.data!, sha256: 'other' } };
  const unknown = (await compared(others, report)).comparisons.find(({ measure }) => measure === 'metric')!;
  assert.deepEqual([unknown.verdict, unknown.ci95], ['cannot tell', null]);
  assert.match(unknown.reason!, /other examples/);
});

test('an invalid control or too few openings silence the comparison of times', async () => {
  const invalid = {
    ...report,
    grid: report.grid.map((cell) => ({ ...cell, control: { ...cell.control, valid: false } })),
  };
  for (const [earlier, now, which] of [
    [report, invalid, 'new'],
    [invalid, report, 'earlier'],
    [invalid, invalid, 'earlier and the new'],
  ] as const) {
    const [first] = (await compared(earlier, slowed(now, { tiny: 2 }))).comparisons;
    assert.deepEqual([first!.verdict, first!.reason], ['cannot tell', `the control of the ${which} run excludes 1`]);
  }
  const short = answering(sampleReport({ models, rounds: 2 }), 10);
  const [few] = (await compared(report, short)).comparisons;
  assert.deepEqual([few!.verdict, few!.reason], ['cannot tell', 'the models were opened too few times']);
});

test('what only one of the runs has is said', async () => {
  const [teacher, small, tiny] = models as [(typeof models)[0], (typeof models)[0], (typeof models)[0]];
  const grid = [
    { batch: 1, length: 128, threads: 1 },
    { batch: 8, length: 128, threads: 1 },
    { batch: 1, length: 'natural', threads: 1 },
  ] as const;
  const earlier = sampleReport({ models: [teacher, { ...tiny, name: 'old' }, small], grid });
  const now = { ...report, environment: { ...report.environment, onnxruntime: '9.9.9' } };
  const result = await compared(earlier, now);
  assert.deepEqual(result.warnings, [
    'ONNX Runtime was 1.30.0 then and is 9.9.9 now',
    'old is only in the earlier run',
    'tiny is only in the new run',
    'cpu, threads 1, batch 8, length 128 is only in the earlier run',
    'cpu, threads 1, batch 1, length natural is only in the earlier run',
  ]);
  assert.deepEqual(
    result.comparisons.filter(({ measure }) => measure === 'latency').map(({ name, cell }) => [name, cell]),
    [['small', 0]],
  );
});

test('natural lengths are compared only on the same examples', async () => {
  const natural = sampleReport({ models, grid: [{ batch: 1, length: 'natural', threads: 1 }] });
  const latencies = ({ comparisons }: BaselineReport) => comparisons.filter(({ measure }) => measure === 'latency');
  assert.equal(latencies(await compared(natural, natural)).length, 2);
  const others = await compared({ ...natural, data: { ...natural.data!, sha256: 'other' } }, natural);
  assert.equal(latencies(others).length, 0);
  assert.match(others.warnings.join(), /length natural: the examples differ/);
});

test('a run that has nothing in common with the baseline is refused before it is measured', async () => {
  const baseline = await saved(report);
  const cell: CellKey = { device: 'cpu', threads: 1, batch: 1, length: 128, tokenize: 'out' };
  checkBaseline(baseline, ['other', 'tiny'], [{ ...cell, batch: 8 }, cell]);
  const check = (students: string[], cells: CellKey[]) => () => checkBaseline(baseline, students, cells);
  assert.throws(
    check(['other'], [cell]),
    failure('baseline-mismatch', /students small, tiny, this run measures other/),
  );
  for (const key of [{ threads: 2 }, { length: 64 }, { length: 'natural' }, { tokenize: 'in' }, { batch: 2 }] as const)
    assert.throws(
      check(['tiny'], [{ ...cell, ...key }]),
      failure('baseline-mismatch', /this run measures cpu, threads/),
    );
});

test('a damaged or foreign file is named with what is wrong in it', async () => {
  const change = (path: string, value: unknown) => {
    const copy = structuredClone(report) as unknown as Record<string, never>;
    const keys = path.split('.');
    const parent = keys.slice(0, -1).reduce<Record<string, unknown>>((at, key) => at[key] as never, copy);
    parent[keys.at(-1)!] = value;
    return JSON.stringify(copy);
  };
  const cases: readonly [content: string, message: RegExp][] = [
    ['', /JSON/],
    [JSON.stringify(report).slice(0, 5000), /JSON/],
    ['null', /the file is null, expected an object/],
    ['[1, 2]', /teacher is nothing, expected an object/],
    ['{"name": "kdx"}', /is not a result of kdx bench: /],
    [change('teacher.sha256', 5), /teacher\.sha256 is 5, expected text/],
    [change('students', {}), /students is \{\}, expected a list/],
    [change('students.0.bytes', -1), /students\.0\.bytes is -1, expected a number above 0/],
    [change('students.1.answers', '1 x 0'), /students\.1\.answers is .*, expected a number/],
    [change('grid.0.samples.1.ms', [1, null]), /grid\.0\.samples\.1\.ms\.1 is null, expected a number/],
    [change('grid.0.samples.1.ms', [1, 2]), /expected the same number of samples of each model/],
    [change('grid.0.samples', []), /expected the same number/],
    [change('grid.0.scenario.length', 'long'), /scenario\.length is "long"/],
    [change('grid.0.control.valid', 'yes'), /control\.valid is "yes", expected true or false/],
    [change('environment.cpu', null), /environment\.cpu is null/],
  ];
  const file = join(folder, 'damaged.json');
  for (const [content, message] of cases) {
    await writeFile(file, content);
    await assert.rejects(readBaseline(file), failure('invalid-baseline', message));
  }
  await assert.rejects(readBaseline(join(folder, 'absent.json')), failure('file-not-found', /absent/));
  await assert.rejects(readBaseline(folder), failure('not-a-file', /folder/));
});

test('a result from before there was a grid can be a baseline', async () => {
  const { cells, models: read, data: examples } = await saved(olderReport());
  assert.equal(cells.length, 1);
  const [{ samplesMs, ...cell }] = cells as [(typeof cells)[0]];
  const key = { device: 'cpu', threads: 1, batch: 1, length: 128, tokenize: 'out' };
  assert.deepEqual(cell, { ...key, valid: true, openings: [40] });
  assert.equal(samplesMs.size, read.length);
  assert.deepEqual([read[0]!.role, read[1]!.answers, examples], ['teacher', null, null]);
});

/** The report's contract keys and the table for people. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ColdStart } from '../../plugins/bench/src/cold-start.ts';
import { environmentOf, systemState } from '../../plugins/bench/src/environment.ts';
import { measure, type Measurement } from '../../src/timing/measurement.ts';
import { noLikeness } from '../../plugins/bench/src/quality.ts';
import { benchReport, type BenchReport, type Metric, type ReportParts } from '../../plugins/bench/src/report.ts';
import { reportTable } from '../../plugins/bench/src/report-table.ts';
import { gaussian, Simulation } from '../timing/simulation.ts';

const phasesMs = { processStart: 40, moduleLoad: 30, read: 5, sessionCreate: 200, firstRun: 50 };
const memoryBytes = { baseline: 60e6, afterCreate: 300e6, afterFirstRun: 320e6, peak: 512e6 };
const coldStart: ColdStart = { totalMs: 320, phasesMs, memoryBytes, samples: [{ phasesMs, memoryBytes }] };

async function parts(overrides: Partial<ReportParts> = {}): Promise<ReportParts> {
  const machine = new Simulation();
  const normal = gaussian(2);
  const duration = (ms: number) => () => ms * Math.exp(0.01 * normal());
  const durations = {
    'bert-base': duration(250),
    tiny: duration(10),
    twin: duration(250),
    wide: duration(500),
  };
  const measurement = await measure({
    names: Object.keys(durations),
    reference: 'bert-base',
    open: machine.opener(durations),
    seed: 1,
    warmUpSeconds: 0,
    now: machine.now,
  });
  const before = systemState();
  const metric = (value: number): Metric => ({ name: 'accuracy', value, ci95: [value - 0.02, value + 0.02] });
  const file = {
    ref: 'runs/model',
    sha256: '00',
    compressedBytes: null,
    groups: [],
    inputs: 'text',
    answers: null,
  } as const;
  const tiny = { ...file, name: 'tiny', parameters: 14_350_874, bytes: 57.4e6, metric: metric(0.9), ...noLikeness };
  return {
    teacher: { ...file, name: 'bert-base', parameters: 109_483_778, bytes: 438e6, metric: metric(0.93) },
    students: [
      { ...tiny, agreement: 0.95 },
      { ...tiny, name: 'twin', metric: null },
      { ...tiny, name: 'wide', agreement: 0.5 },
    ],
    cells: [
      {
        scenario: {
          kind: 'offline',
          device: 'cpu',
          threads: 1,
          batch: 2,
          length: 128,
          lengths: null,
          text: 'built-in sentences',
          tokenize: 'out',
        },
        // Noise alone makes one control of twenty invalid; that case has a test of its own.
        measurement: { ...measurement, control: { ...measurement.control, valid: true } },
        flops: new Map([
          ['bert-base', 22.35e9],
          ['tiny', 1.25e9],
          ['wide', 1.25e9],
        ]),
      },
    ],
    data: null,
    coldStarts: new Map([
      ['bert-base', coldStart],
      ['tiny', coldStart],
    ]),
    environment: environmentOf({ threads: 1, before, after: before }),
    interrupted: false,
    ...overrides,
  };
}

function withMeasurement(given: ReportParts, change: (old: Measurement) => Partial<Measurement>): ReportParts {
  const cells = given.cells.map((cell) => ({
    ...cell,
    measurement: { ...cell.measurement, ...change(cell.measurement) },
  }));
  return { ...given, cells };
}

function withoutWarnings(report: BenchReport): BenchReport {
  return { ...report, environment: { ...report.environment, warnings: [] } };
}

test('the JSON has every key of the contract and survives a round trip', async () => {
  const report = benchReport(await parts());
  const json = JSON.parse(JSON.stringify(report)) as BenchReport;
  assert.deepEqual(json, report);
  for (const model of [json.teacher, ...json.students]) {
    const keys = ['parameters', 'flops', 'bytes', 'latencyMs', 'throughput', 'coldStartMs', 'peakRssBytes', 'metric'];
    for (const key of keys) assert.ok(key in model, key);
    for (const key of ['p50', 'p90', 'ci95', 'first']) assert.ok(key in model.latencyMs, key);
  }
  for (const student of json.students) {
    for (const key of ['compressionRatio', 'speedup', 'retention', 'agreement']) assert.ok(key in student, key);
    assert.ok('ratio' in student.speedup && 'ci95' in student.speedup);
  }
  for (const key of ['environment', 'control', 'stopReason', 'partial', 'samples']) assert.ok(key in json, key);
});

test('ratios are teacher over student; what was not measured is null', async () => {
  const { teacher, students, samples } = benchReport(await parts());
  const [tiny, twin, wide] = students;
  assert.ok(Math.abs(tiny!.compressionRatio - 438 / 57.4) < 1e-12);
  assert.ok(Math.abs(tiny!.parameterRatio - 7.629) < 1e-3);
  assert.ok(Math.abs(tiny!.speedup.ratio - 25) < 0.3);
  assert.ok(Math.abs(tiny!.retention! - 0.9 / 0.93) < 1e-12);
  assert.ok(Math.abs(teacher.throughput - (2 * 1000) / 250) < 0.1);
  assert.deepEqual(
    students.map(({ speedup }) => speedup.verdict),
    ['faster', 'not distinguishable', 'slower'],
  );
  assert.equal(twin!.retention, null);
  assert.deepEqual([tiny!.coldStartMs, tiny!.peakRssBytes], [320, 512e6]);
  assert.deepEqual([wide!.coldStartMs, wide!.peakRssBytes, wide!.coldStartPhasesMs], [null, null, null]);
  assert.deepEqual(
    samples.map(({ role, name }) => `${role} ${name}`),
    ['teacher bert-base', 'student tiny', 'student twin', 'student wide', 'control bert-base'],
  );
});

test('the table has the teacher first, fits 80 columns and says "faster" only where it may', async () => {
  const report = withoutWarnings(benchReport(await parts()));
  const lines = reportTable(report).split('\n');
  assert.ok(lines.every((line) => line.length <= 80));
  const head = lines[0]!;
  assert.match(head, /^model +params +FLOPs +size +p50 ms +p90 ms +start +memory +accuracy$/);
  assert.match(lines[2]!, /^bert-base +109M +22\.4G +438 MB +2[45]\d +2[56]\d +320 ms +512 MB +0\.9300$/);
  assert.match(lines[4]!, /^twin +14\.4M +- +57\.4 MB .* - +- +-$/);
  const text = lines.slice(6).join(' ').replace(/ +/g, ' ');
  const interval = String.raw`\[[\d.]+, [\d.]+\]`;
  const kept = String.raw`keeps 96\.8 % of accuracy \(90\.0 % of 93\.0 %\), agrees on`;
  for (const expected of [
    `tiny: x2[45]\\.\\d faster ${interval}, x7\\.63 smaller, ${kept} 95\\.0 %`,
    `twin: as fast as the teacher within the noise, x\\d\\.\\d\\d ${interval}, x7\\.63 smaller wide:`,
    `wide: x(1\\.9|2\\.0)\\d slower ${interval}, x7\\.63 smaller, ${kept} 50\\.0 %`,
  ])
    assert.match(text, new RegExp(expected));
  assert.match(
    text,
    /cpu, 1 thread, batch 2, length 128; 30 rounds, the models opened anew 6 times, in .* target half-width reached/,
  );
});

test('an invalid control silences every claim', async () => {
  const given = await parts();
  const report = benchReport(withMeasurement(given, ({ control }) => ({ control: { ...control, valid: false } })));
  assert.ok(report.students.every(({ speedup }) => speedup.verdict === 'invalid run'));
  const text = reportTable(report);
  assert.doesNotMatch(text, /faster|slower/);
  assert.match(text.replace(/\s+/g, ' '), /THE RUN IS INVALID/);
});

test('too few openings claim no speed, a small teacher metric no retention, a larger student its size', async () => {
  const given = await parts();
  const [tiny] = given.students;
  const few = withMeasurement(given, ({ subjects }) => ({
    subjects: subjects.map((subject) => ({
      ...subject,
      speedup: subject.speedup && { ...subject.speedup, ci95: null },
    })),
  }));
  const report = benchReport({
    ...few,
    teacher: { ...given.teacher, metric: { name: 'matthews', value: 0, ci95: null } },
    students: [{ ...tiny!, bytes: 876e6, metric: { name: 'matthews', value: 0.1, ci95: null } }],
  });
  assert.equal(report.students[0]!.retention, null);
  assert.match(
    reportTable(report),
    /^tiny: speed not known \(opened too few times\), x2\.00 larger, agrees on 95\.0 %$/m,
  );
});

test('an interrupted run is marked, whichever stage was stopped', async () => {
  const report = benchReport(await parts({ interrupted: true }));
  assert.equal(report.partial, true);
  assert.match(reportTable(report), /interrupted: this is a partial result/);
});

test('long names, warnings and batched samples stay within 80 columns', async () => {
  const given = await parts();
  const name = 'a-student-with-a-very-long-name-that-somebody-chose-for-the-folder-of-the-checkpoint';
  const rename = (old: string) => (old === 'tiny' ? name : old);
  const renamed = withMeasurement(given, ({ subjects }) => ({
    subjects: subjects.map((subject) => ({ ...subject, name: rename(subject.name), runsPerSample: 4 })),
  }));
  const students = given.students.map((student) => ({ ...student, name: rename(student.name) }));
  const environment = { ...given.environment, warnings: ['word '.repeat(60).trim()] };
  const report = benchReport({ ...renamed, students, environment });
  const text = reportTable(report);
  for (const line of text.split('\n')) assert.ok(line.length <= 80 || line.startsWith(name), line);
  assert.match(text, /a sample is the mean of 4 runs/);
  assert.match(text, /^warning: word/m);
});

/** The report of a comparison: its numbers, what it says when something is missing, and what it refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize, type Comparison, type MethodResult } from '../../plugins/distill/src/compare/index.ts';
import { metrics } from '../../src/data/index.ts';
import { sampleCell, sampleComparison, sampleTask } from './sample.ts';

function resultOf(comparison: Comparison, method: string, fraction = 1): MethodResult {
  const report = summarize(comparison);
  const rows = report.fractions.find((entry) => entry.fraction === fraction)!.rows;
  return rows.find((row) => row.method === method)!.result!;
}

const right = [2, 0];
const wrong = [0, 2];

/** Four examples of label 0; each method's answers by seed, R right and W wrong. */
function tiny(answers: Readonly<Record<string, readonly string[]>>): Comparison {
  const task = sampleTask('sst2');
  const cells = Object.entries(answers).flatMap(([method, bySeed]) =>
    bySeed.map((text, i) => {
      const devLogits = [...text].map((letter) => (letter === 'R' ? right : wrong));
      const accuracy = [...text].filter((letter) => letter === 'R').length / 4;
      const [seconds, cpuSeconds] = method === 'kd' ? [30, 12] : [20, 16];
      const training = { seconds, cpuSeconds, steps: 10, examples: 40 + 20 * i, stages: [] };
      return sampleCell({ method, seed: i + 1, devLogits, metrics: { accuracy }, training });
    }),
  );
  return {
    task,
    teacher: {
      ref: 'teacher',
      parameters: 100,
      flops: 1000,
      metrics: { accuracy: 0.75 },
      devLogits: [right, right, right, wrong],
    },
    devLabels: [0, 0, 0, 0],
    cells,
    commands: [],
  };
}

test('the numbers of a row by hand', () => {
  const kd = resultOf(tiny({ finetune: ['RRWW', 'RWWW'], kd: ['RRRW', 'RRRR'] }), 'kd');
  assert.deepEqual(kd.primary.values, [0.75, 1]);
  assert.equal(kd.primary.mean, 0.875);
  assert.equal(kd.primary.sd, Math.sqrt(1 / 32));
  assert.equal(kd.retention, 0.875 / 0.75);
  assert.deepEqual(kd.fidelity.agreement!.values, [1, 0.75]);
  assert.equal(kd.fidelity.rmsDifference, null);
  const likelihood = Math.log(1 + Math.exp(-2));
  const expected = [likelihood + 0.5, likelihood];
  kd.calibration!.negativeLogLikelihood.values.forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]!) < 1e-12, String(value)),
  );
  assert.deepEqual(kd.training, { seconds: 30, cpuSeconds: 12, steps: 10, examples: 50 });
  assert.deepEqual(kd.relativeCost, { seconds: 1.5, cpuSeconds: 0.75, steps: 1, examples: 1 });
  const { estimate, values } = kd.versus.finetune!;
  assert.equal(estimate, 0.5);
  assert.deepEqual(values, [0.25, 0.75]);
  assert.equal(kd.versus.kd, null);
});

test('a further baseline: the same difference as between the two otherwise, and none twice', () => {
  const sample = sampleComparison();
  const plan = { methods: ['finetune', 'kd', 'mixkd'], seeds: [1, 2, 3], fractions: [1] };
  const usual = summarize({ ...sample, plan });
  const report = summarize({ ...sample, plan: { ...plan, against: ['mixkd', 'finetune'] } });
  assert.deepEqual(
    [usual.baselines, report.baselines],
    [
      ['finetune', 'kd'],
      ['finetune', 'kd', 'mixkd'],
    ],
  );
  const versus = ({ fractions }: typeof report) => fractions[0]!.rows.map(({ result }) => result!.versus);
  versus(report).forEach(({ mixkd, ...others }, i) => {
    assert.deepEqual([mixkd, others], [null, versus(usual)[i]]);
  });
  const reversed = summarize({ ...sample, plan: { ...plan, methods: ['mixkd', 'finetune', 'kd'] } });
  assert.deepEqual(versus(reversed)[0], versus(usual)[2]);

  const named = (method: string) => ({ finetune: 'finetune', kd: 'full', mixkd: 'without' })[method] ?? method;
  const cells = sample.cells.map((cell) => ({ ...cell, method: named(cell.method) }));
  const ablation = summarize({
    ...sample,
    cells,
    plan: { ...plan, methods: plan.methods.map(named), against: ['full'] },
  });
  assert.deepEqual(versus(ablation)[2]!['full'], versus(usual)[2]!['kd']);
});

test('a planted difference is told, and what it is against', () => {
  const report = summarize(sampleComparison());
  const [finetune, kd, mixkd] = report.fractions[0]!.rows;
  assert.equal(kd!.result!.versus.finetune!.verdict, 'better');
  assert.equal(mixkd!.result!.versus.kd!.verdict, 'no difference seen at 95 %');
  assert.deepEqual(finetune!.result!.versus, { finetune: null, kd: null });
  assert.ok(kd!.result!.fidelity.agreement!.mean > finetune!.result!.fidelity.agreement!.mean);
  assert.equal(report.devExamples, 240);
  assert.deepEqual(report.bootstrap, { seed: 0, resamples: 2000, confidence: 0.95 });
  const { accuracy, standardError } = report.binomial!;
  assert.equal(standardError, Math.sqrt((accuracy * (1 - accuracy)) / 240));
});

test('the same report for the same cells in another order, and again', () => {
  const comparison = sampleComparison({ fractions: [1, 0.1] });
  const plan = { methods: ['finetune', 'kd', 'mixkd'], seeds: [1, 2, 3], fractions: [1, 0.1] };
  const report = summarize({ ...comparison, plan });
  assert.deepEqual(summarize({ ...comparison, plan, cells: [...comparison.cells].reverse() }), report);
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
  const other = summarize(comparison, { seed: 1 });
  assert.notDeepEqual(
    other.fractions[0]!.rows[1]!.result!.primary.ci95,
    report.fractions[0]!.rows[1]!.result!.primary.ci95,
  );
});

test('an interval does not depend on which other methods are there', () => {
  const comparison = sampleComparison();
  const fewer = { ...comparison, cells: comparison.cells.filter(({ method }) => method !== 'mixkd') };
  assert.deepEqual(resultOf(fewer, 'kd'), resultOf(comparison, 'kd'));
});

test('regression: correlations, and the distance of the values', () => {
  const comparison = sampleComparison({ task: 'stsb' });
  const report = summarize(comparison);
  const kd = resultOf(comparison, 'kd');
  assert.equal(kd.calibration, null);
  assert.equal(kd.fidelity.agreement, null);
  assert.equal(report.binomial, null);
  assert.equal(report.teacher.calibration, null);
  const [cell] = comparison.cells.filter(({ method, seed }) => method === 'kd' && seed === 1);
  const squares = cell!.devLogits.map(([value], i) => (value! - comparison.teacher.devLogits[i]![0]!) ** 2);
  const rms = Math.sqrt(squares.reduce((a, b) => a + b) / squares.length);
  assert.ok(Math.abs(kd.fidelity.rmsDifference!.values[0]! - rms) < 1e-12);
  const values = cell!.devLogits.map(([value]) => value!);
  assert.equal(kd.primary.values[0], metrics.pearson_spearman(values, comparison.devLabels));
  assert.equal(kd.versus.finetune!.verdict, 'better');
  assert.deepEqual(Object.keys(kd.metrics), ['pearson_spearman', 'pearson', 'spearman']);
});

test('a task with another metric than accuracy', () => {
  const comparison = sampleComparison({ task: 'cola' });
  const kd = resultOf(comparison, 'kd');
  const { estimate, ci95 } = kd.versus.finetune!;
  assert.ok(ci95[0] < estimate && estimate < ci95[1]);
  assert.equal(estimate, kd.versus.finetune!.values.reduce((a, b) => a + b) / 3);
  assert.ok(summarize(comparison).notes.some((note) => /matthews varies/.test(note)));
});

test('an unfinished comparison says what is missing', () => {
  const comparison = sampleComparison();
  const plan = { methods: ['finetune', 'kd', 'mixkd', 'pkd'], seeds: [1, 2, 3], fractions: [1, 0.1] };
  const cells = comparison.cells.filter(
    ({ method, seed }) => method !== 'finetune' && !(method === 'kd' && seed === 2),
  );
  const report = summarize({ ...comparison, cells, plan });
  const [finetune, kd, mixkd, pkd] = report.fractions[0]!.rows;
  assert.deepEqual([finetune!.result, pkd!.result], [null, null]);
  assert.deepEqual([kd!.seeds, kd!.missingSeeds], [[1, 3], [2]]);
  assert.equal(kd!.result!.versus.finetune, null);
  assert.equal(kd!.result!.relativeCost, null);
  assert.deepEqual(mixkd!.result!.versus.kd!.seeds, [1, 3]);
  assert.equal(report.fractions[1]!.trainExamples, null);
  assert.deepEqual([report.finishedCells, report.plannedCells], [5, 24]);
  assert.match(report.notes[0]!, /5 of 24/);

  const nothing = summarize({ ...comparison, cells: [], plan });
  assert.ok(nothing.fractions.every(({ rows }) => rows.every(({ result }) => result === null)));
});

test('notes: what could be seen, one seed, unequal machines', () => {
  const three = summarize(sampleComparison()).notes.join('\n');
  assert.match(three, /binomial standard error of \d\.\d\d points/);
  assert.match(three, /With 3 seeds and 240 dev examples, differences below about \d+\.\d\d points .* Compare 5 seeds/);
  assert.match(three, /Best epochs were chosen on this dev set/);
  assert.doesNotMatch(three, /one seed|Trained/);

  const one = summarize(sampleComparison({ seeds: [1], methods: [{ method: 'pkd', skill: 1 }] })).notes.join('\n');
  assert.match(one, /With 1 seed and 240 dev examples, two independent models must differ by/);
  assert.match(one, /one seed, an interval holds for that training run/);

  const comparison = sampleComparison();
  const cells = comparison.cells.map((cell, i) =>
    i === 0 ? { ...cell, device: 'cuda', versions: { ...cell.versions, node: '22.0.0' } } : cell,
  );
  const unequal = summarize({ ...comparison, cells });
  assert.deepEqual(unequal.versions, { node: ['22.0.0', '20.20.2'], kdx: ['0.1.0'] });
  assert.match(
    unequal.notes.join('\n'),
    /Trained on cuda and cpu: seconds do not compare[^]*node 22\.0\.0 and 20\.20\.2/,
  );
});

test('cells that do not fit the data are refused', () => {
  const comparison = sampleComparison();
  const otherLabels = comparison.devLabels.map((label) => 1 - label);
  assert.throws(() => summarize({ ...comparison, devLabels: otherLabels }), {
    code: 'cell-mismatch',
    message: /cell finetune, seed 1, fraction 1 reports accuracy/,
  });
  const fewer = comparison.devLabels.slice(1);
  assert.throws(() => summarize({ ...comparison, devLabels: fewer }), /internal: 240 rows .* for 239/);
  const twice = [...comparison.cells, comparison.cells[0]!];
  assert.throws(() => summarize({ ...comparison, cells: twice }), /internal: two cells of finetune, seed 1/);
  const plan = { methods: ['kd'], seeds: [1, 2, 3], fractions: [1] };
  assert.throws(() => summarize({ ...comparison, plan }), /internal: a cell that is not in the plan/);
});

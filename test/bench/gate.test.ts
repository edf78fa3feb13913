/** The decision of the regression gate on simulated noisy machines, and its rules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeOf, decide, holm, medianChange, type Change, type Series } from '../../plugins/bench/src/gate.ts';
import { studentTail } from '../../src/timing/index.ts';
import { gaussian, noisyMachine } from '../timing/simulation.ts';

const failOn = 0.05;
const seeds = Array.from({ length: 30 }, (_, i) => 300 + i);

/** The time of a model relative to its teacher in 15 openings, which differ by 2 %, with drift and interruptions. */
function relativeTimes(seed: number, slowdown: number, rounds = 20): Series {
  const noise = noisyMachine(seed);
  const normal = gaussian(seed + 5000);
  const openings = new Array<number>(15).fill(rounds);
  const logs = openings.flatMap((count) => {
    const placement = 0.02 * normal();
    return Array.from({ length: count }, (_, round) => {
      if (round % 2 === 0) return placement + Math.log(noise(20 * slowdown) / noise(40));
      const teacher = noise(40);
      return placement + Math.log(noise(20 * slowdown) / teacher);
    });
  });
  return { logs, openings };
}

/** The earlier run at normal speed against a new one on the machine as it is another day. */
function changes(slowdown: number): Change[] {
  return seeds.map((seed) => {
    const change = medianChange(relativeTimes(seed, 1), relativeTimes(seed + 1000, slowdown), failOn);
    return change!;
  });
}

const verdicts = (found: readonly Change[]) => found.map((change) => decide([{ change, worse: 'larger' }], failOn)[0]);

test('A/A: the interval of the change covers 1 in at least 27 of 30 runs, and none is a regression', () => {
  const found = changes(1);
  const covered = found.filter(({ ci95: [low, high] }) => low <= 1 && high >= 1).length;
  assert.ok(covered >= 27, `${covered} of 30`);
  assert.ok(!verdicts(found).includes('regression'));
});

test('a planted slowdown of 10 % is a regression beyond 5 % in at least 27 of 30 runs', () => {
  const found = verdicts(changes(1.1)).filter((verdict) => verdict === 'regression').length;
  assert.ok(found >= 27, `${found} of 30`);
});

test('a planted slowdown of 3 % is never told as a speed-up, nor as a regression beyond 5 %', () => {
  const found = changes(1.03);
  assert.equal(found.filter(({ ci95 }) => ci95[1] < 1).length, 0);
  assert.ok(!verdicts(found).includes('regression'));
});

test('many comparisons of equal models raise no more false alarms than one', () => {
  let alarms = 0;
  for (const seed of seeds) {
    const tested = Array.from({ length: 4 }, (_, i) => {
      const [before, after] = [relativeTimes(7000 + 10 * seed + i, 1, 5), relativeTimes(9000 + 10 * seed + i, 1, 5)];
      return { change: medianChange(before, after, 0)!, worse: 'larger' as const };
    });
    if (decide(tested, 0).includes('regression')) alarms++;
  }
  // 2.5 % of 30 runs; without the correction about 3 of them.
  assert.ok(alarms <= 2, `${alarms} of 30`);
});

test("Holm's method rejects from the smallest p on, each against alpha over those that are left", () => {
  assert.deepEqual(holm([0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
  assert.deepEqual(holm([0.02, 0.02], 0.05), [true, true]);
  assert.deepEqual(holm([0.03, 0.03], 0.05), [false, false]);
  assert.deepEqual(holm([0.2, 0.001], 0.05), [false, true]);
  assert.deepEqual(holm([]), []);
});

test('the verdict follows the interval: beyond the threshold, within it, or neither', () => {
  const around = (low: number, high: number) =>
    Float64Array.from({ length: 1001 }, (_, i) => low + ((high - low) * i) / 1000);
  const verdict = (low: number, high: number, worse: 'larger' | 'smaller') => {
    const change = changeOf((low + high) / 2, around(low, high), worse, failOn);
    return decide([{ change, worse }], failOn)[0];
  };
  assert.equal(verdict(1.06, 1.1, 'larger'), 'regression');
  assert.equal(verdict(1.02, 1.04, 'larger'), 'no regression');
  assert.equal(verdict(0.8, 0.9, 'larger'), 'no regression');
  assert.equal(verdict(1.02, 1.1, 'larger'), 'cannot tell');
  assert.equal(verdict(0.9, 0.94, 'smaller'), 'regression');
  assert.equal(verdict(0.96, 1.1, 'smaller'), 'no regression');
  assert.equal(verdict(0.93, 0.97, 'smaller'), 'cannot tell');
  // 3 % of the resamples within the threshold: above the 2.5 % that one side of a 95 % interval leaves.
  assert.equal(verdict(1.05 - 0.0015, 1.05 - 0.0015 + 0.05, 'larger'), 'cannot tell');
  assert.equal(verdict(1.05 - 0.001, 1.05 - 0.001 + 0.05, 'larger'), 'regression');
});

test('too few openings tell nothing', () => {
  const few = { logs: new Array<number>(200).fill(0), openings: [100, 100] };
  assert.equal(medianChange(few, relativeTimes(1, 1), failOn), null);
  assert.equal(medianChange(relativeTimes(1, 1), few, failOn), null);
});

test('the change of openings with known statistics is that of Welch', () => {
  const series = (...medians: number[]): Series => ({ logs: medians, openings: medians.map(() => 1) });
  const { change, ci95, p } = medianChange(series(0, 0.02, 0.01), series(0.11, 0.09, 0.13), 0.05)!;
  // Medians 0.01 and 0.11; squares 0.0002 and 0.0008 over 2 x 3; degrees of freedom 2.94, so 2.
  const standardError = Math.sqrt(0.0002 / 6 + 0.0008 / 6);
  assert.ok(Math.abs(Math.log(change) - 0.1) < 1e-12);
  assert.ok(Math.abs(Math.log(ci95[1]) - 0.1 - 4.302652729911275 * standardError) < 1e-9);
  assert.ok(Math.abs(p - studentTail((0.1 - Math.log(1.05)) / standardError, 2)) < 1e-12);
});

test('where no opening differs from another, the change is what it is', () => {
  const series = (value: number): Series => ({ logs: new Array<number>(6).fill(value), openings: [2, 2, 2] });
  assert.deepEqual(medianChange(series(0), series(0), 0), { change: 1, ci95: [1, 1], p: 1 });
  assert.equal(medianChange(series(0), series(Math.log(1.04)), failOn)!.p, 1);
  assert.equal(medianChange(series(0), series(Math.log(1.06)), failOn)!.p, 0);
});

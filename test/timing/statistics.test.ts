/** Descriptive statistics and bootstrap intervals against numpy and scipy, and against exact arithmetic. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { medianInterval, MIN_VALUES } from '../../src/timing/bootstrap.ts';
import { estimate, estimateInterval, joined, logInterval, MIN_OPENINGS } from '../../src/timing/sections.ts';
import { latencyOf } from '../../src/timing/latency.ts';
import {
  classifyOutliers,
  coefficientOfVariation,
  median,
  medianAbsoluteDeviation,
  quantile,
} from '../../src/timing/statistics.ts';
import { studentCritical, studentTail } from '../../src/timing/student.ts';
import { gaussian } from './simulation.ts';

interface Case {
  readonly name: string;
  readonly values: number[];
  readonly quantiles: Record<string, number>;
  readonly mad: number;
  readonly cv: number;
  readonly p50: [number, number];
}
const golden = JSON.parse(readFileSync(new URL('./golden/statistics.json', import.meta.url), 'utf8')) as {
  cases: Case[];
  student: { degreesOfFreedom: number; critical: number; tails: [number, number][] }[];
};

const close = (actual: number, expected: number, relative: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${what}: ${actual}, expected ${expected}`);

for (const { name, values, quantiles, mad, cv, p50 } of golden.cases) {
  test(`${name}: quantiles, MAD and variation equal numpy and scipy`, () => {
    for (const [p, expected] of Object.entries(quantiles)) close(quantile(values, Number(p)), expected, 1e-12, `q${p}`);
    close(medianAbsoluteDeviation(values), mad, 1e-12, 'MAD');
    close(coefficientOfVariation(values), cv, 1e-12, 'cv');
  });

  test(`${name}: the bootstrap interval of the median equals scipy's up to resampling error`, () => {
    const interval = medianInterval(values, { seed: 1, resamples: 40_000 })!;
    p50.forEach((end, side) => close(interval[side]!, end, 0.002, `end ${side}`));
  });
}

test('the interval of the median of 1 .. 101 has the ends that the binomial distribution gives', () => {
  const n = 101;
  const values = Array.from({ length: n }, (_, i) => i + 1);
  // The median of a resample is at most k when at least 51 of 101 draws are at most k.
  const cumulative = (k: number): number => {
    let sum = 0;
    let logChoose = 0;
    for (let j = 0; j <= n; j++) {
      if (j > 0) logChoose += Math.log((n - j + 1) / j);
      if (j >= 51 && k < n) sum += Math.exp(logChoose + j * Math.log(k / n) + (n - j) * Math.log(1 - k / n));
    }
    return sum;
  };
  const exact = [0.025, 0.975].map((p) => values.find((k) => cumulative(k) >= p));
  assert.deepEqual(medianInterval(values, { seed: 3, resamples: 100_000 }), exact);
});

test('the same seed gives the same interval, another seed another resampling', () => {
  const random = gaussian(5);
  const values = Array.from({ length: 60 }, () => random());
  const interval = (seed: number) => medianInterval(values, { seed, resamples: 50 });
  assert.deepEqual(interval(1), interval(1));
  assert.notDeepEqual(interval(1), interval(2));
});

test(`fewer than ${MIN_VALUES} values have no interval`, () => {
  assert.equal(medianInterval([1, 2, 3, 4, 5], { seed: 1 }), null);
  assert.notEqual(medianInterval([1, 2, 3, 4, 5, 6], { seed: 1 }), null);
});

test("Student's t equals scipy's", () => {
  for (const { degreesOfFreedom, critical, tails } of golden.student) {
    close(studentCritical(0.025, degreesOfFreedom), critical, 1e-10, `critical value of ${degreesOfFreedom}`);
    for (const [t, tail] of tails)
      assert.ok(Math.abs(studentTail(t, degreesOfFreedom) - tail) < 1e-13, `tail of ${t}, ${degreesOfFreedom}`);
  }
  assert.deepEqual([studentTail(Infinity, 3), studentTail(-Infinity, 3)], [0, 1]);
});

test('the interval of openings of equal length is that of their statistics around the statistic of all', () => {
  const values = [1, 2, 3, 3, 4, 5, 8, 9, 10];
  const found = estimate(values, [3, 3, 3], median)!;
  // Medians 2, 4 and 9 around 4: squares 4, 0 and 25.
  assert.deepEqual([found.value, found.degreesOfFreedom], [4, 2]);
  close(found.standardError, Math.sqrt(29 / 2 / 3), 1e-12, 'standard error');
  const [low, high] = estimateInterval(found);
  close(high - 4, 4.302652729911275 * found.standardError, 1e-10, 'half-width');
  close(4 - low, high - 4, 1e-12, 'symmetry');
  const [first, last] = logInterval(values.map(Math.exp), [3, 3, 3], median)!;
  close(Math.log(first), low, 1e-12, 'low end of factors');
  close(Math.log(last), high, 1e-12, 'high end of factors');
});

test('an opening that was cut short counts by its rounds, and not as a whole one', () => {
  // Medians 2, 4, 6 and 100 around 4, with shares 3, 3, 3 and 1 of 10: the sum of their squares is 0.28.
  const { value, standardError, degreesOfFreedom } = estimate([1, 2, 3, 3, 4, 5, 5, 6, 7, 100], [3, 3, 3, 1], median)!;
  assert.equal(degreesOfFreedom, 3);
  close(value, 4.5, 1e-12, 'median');
  const variance = (3 * 2.5 ** 2 + 3 * 0.5 ** 2 + 3 * 1.5 ** 2 + 95.5 ** 2) / 10;
  close(standardError, Math.sqrt((variance * 0.28) / 0.72), 1e-12, 'standard error');
  const values = Array.from({ length: 19 }, (_, i) => i);
  assert.equal(estimate(values, [9, 9, 1], median), null, 'hardly more than two');
});

test('openings are joined until each section has the rounds that a statistic needs', () => {
  assert.deepEqual(joined([20, 20, 20], 20), [20, 20, 20]);
  assert.deepEqual(joined([5, 5, 5, 5, 5, 5, 5, 5, 5], 20), [20, 25]);
  assert.deepEqual(joined([20, 20, 3], 20), [20, 23]);
  assert.deepEqual(joined([5, 5], 20), [10]);
  const samples = Array.from({ length: 60 }, (_, i) => 1 + ((i * 7) % 60) / 60);
  const p90 = (openings: readonly number[]) => latencyOf(samples, openings).p90Ci95;
  assert.notEqual(p90(new Array<number>(6).fill(10)), null);
  assert.deepEqual(p90(new Array<number>(6).fill(10)), p90([20, 20, 20]));
  assert.equal(p90([30, 30]), null);
});

test(`fewer than ${MIN_OPENINGS} openings have no interval, and openings must fit the values`, () => {
  assert.equal(estimate([1, 2, 3, 4], [2, 2], median), null);
  assert.equal(logInterval([1, 2, 3, 4], [4], median), null);
  assert.throws(() => estimate([1, 2, 3, 4], [2, 1], median), /internal: 4 values are not those of openings of 2 \+ 1/);
});

test('the median of an even number of values is the mean of the middle two', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test('outliers are counted by both pairs of Tukey fences and none is dropped', () => {
  // Quartiles 10 and 20, fences at -5 and 35 (mild), -20 and 50 (severe).
  const values = [10, 10, 15, 20, 20, 36, -6, 51, -21, 35, -5];
  const body = [...values, 10, 20, 10, 20, 10, 20, 10, 20];
  assert.equal(quantile(body, 0.25), 10);
  assert.equal(quantile(body, 0.75), 20);
  assert.deepEqual(classifyOutliers(body), { lowSevere: 1, lowMild: 1, highMild: 1, highSevere: 1 });
  assert.equal(body.length, 19);
});

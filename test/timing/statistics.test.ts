/** Descriptive statistics and bootstrap intervals against numpy and scipy, and against exact arithmetic. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { blockLength, MIN_VALUES, quantileIntervals } from '../../src/timing/bootstrap.ts';
import {
  classifyOutliers,
  coefficientOfVariation,
  median,
  medianAbsoluteDeviation,
  quantile,
} from '../../src/timing/statistics.ts';
import { gaussian } from './simulation.ts';

interface Case {
  readonly name: string;
  readonly values: number[];
  readonly quantiles: Record<string, number>;
  readonly mad: number;
  readonly cv: number;
  readonly p50: [number, number];
  readonly p90: [number, number];
}
const golden = JSON.parse(readFileSync(new URL('./golden/statistics.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};

const close = (actual: number, expected: number, relative: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${what}: ${actual}, expected ${expected}`);

for (const { name, values, quantiles, mad, cv, p50, p90 } of golden.cases) {
  test(`${name}: quantiles, MAD and variation equal numpy and scipy`, () => {
    for (const [p, expected] of Object.entries(quantiles)) close(quantile(values, Number(p)), expected, 1e-12, `q${p}`);
    close(medianAbsoluteDeviation(values), mad, 1e-12, 'MAD');
    close(coefficientOfVariation(values), cv, 1e-12, 'cv');
  });

  test(`${name}: the bootstrap intervals of p50 and p90 equal scipy's up to resampling error`, () => {
    const options = { seed: 1, resamples: 40_000, blockLength: 1 };
    const intervals = quantileIntervals(values, [0.5, 0.9], options);
    [p50, p90].forEach((expected, i) =>
      expected.forEach((end, side) => close(intervals[i]![side]!, end, 0.002, `interval ${i}, end ${side}`)),
    );
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
  assert.deepEqual(quantileIntervals(values, [0.5], { seed: 3, resamples: 100_000, blockLength: 1 })[0], exact);
});

test('the same seed gives the same interval, another seed another resampling', () => {
  const random = gaussian(5);
  const values = Array.from({ length: 60 }, () => random());
  const interval = (seed: number) => quantileIntervals(values, [0.5], { seed, resamples: 50 });
  assert.deepEqual(interval(1), interval(1));
  assert.notDeepEqual(interval(1), interval(2));
});

test(`fewer than ${MIN_VALUES} values have no interval`, () => {
  assert.deepEqual(quantileIntervals([1, 2, 3, 4, 5], [0.5, 0.9], { seed: 1 }), [null, null]);
  assert.notEqual(quantileIntervals([1, 2, 3, 4, 5, 6], [0.5], { seed: 1 })[0], null);
});

test('an autocorrelated series is resampled in blocks, which widens its interval', () => {
  const random = gaussian(8);
  const series = (r: number): number[] => {
    let value = 0;
    return Array.from({ length: 400 }, () => (value = r * value + Math.sqrt(1 - r * r) * random()));
  };
  assert.equal(blockLength(series(0)), 1);
  const drifting = series(0.8);
  // Carlstein: (1.6 / 0.36)^(2/3) 400^(1/3) = 19.9 for r = 0.8.
  assert.ok(blockLength(drifting) >= 14 && blockLength(drifting) <= 26, `${blockLength(drifting)}`);
  const width = (length: number): number => {
    const [low, high] = quantileIntervals(drifting, [0.5], { seed: 1, blockLength: length })[0]!;
    return high - low;
  };
  // Variance of the mean of an AR(1) series grows by (1 + r) / (1 - r) = 9, its interval by 3.
  assert.ok(width(blockLength(drifting)) > 1.7 * width(1), `${width(blockLength(drifting))} ${width(1)}`);
});

test('a trend or a constant series does not ask for blocks longer than a quarter', () => {
  assert.equal(blockLength(Array.from({ length: 40 }, (_, i) => i)), 10);
  assert.ok(blockLength(new Array<number>(40).fill(1)) <= 10);
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

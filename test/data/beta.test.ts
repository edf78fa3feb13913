/** Draws of Beta(a, a): moments, tails, and shapes so small that gamma draws underflow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { betaSource, randomStream } from '../../src/data/index.ts';

const count = 100_000;

function draws(alpha: number): number[] {
  const next = betaSource(randomStream(5, 'beta'), alpha);
  return Array.from({ length: count }, next);
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The difference is at most five standard errors. */
function near(actual: number, expected: number, variance: number, what: string): void {
  const error = 5 * Math.sqrt(variance / count);
  assert.ok(Math.abs(actual - expected) <= error, `${what}: ${actual}, expected ${expected} ± ${error}`);
}

for (const alpha of [1e-3, 1e-2, 0.1, 0.4, 1, 8])
  test(`Beta(${alpha}, ${alpha}): within [0, 1], never NaN, mean 1/2, variance 1/(4(2a+1))`, () => {
    const values = draws(alpha);
    assert.ok(values.every((value) => value >= 0 && value <= 1));
    const variance = 1 / (4 * (2 * alpha + 1));
    near(mean(values), 0.5, variance, 'mean');
    // The fourth central moment, from the excess kurtosis -6/(2a+3).
    const fourth = variance ** 2 * (3 - 6 / (2 * alpha + 3));
    near(mean(values.map((value) => (value - 0.5) ** 2)), variance, fourth - variance ** 2, 'variance');
  });

// From an independent simulation with 400,000 draws, rounded to three digits.
const published: readonly [alpha: number, meanOfMax: number, over95: number][] = [
  [0.1, 0.941, 0.755],
  [0.2, 0.898, 0.58],
  [0.4, 0.84, 0.36],
  [0.75, 0.779, 0.167],
  [1, 0.75, 0.1],
  [2, 0.687, 0.015],
];

test('the larger share and its tail are those of the beta distribution', () => {
  for (const [alpha, meanOfMax, over95] of published) {
    const larger = draws(alpha).map((value) => Math.max(value, 1 - value));
    const tail = mean(larger.map((value) => Number(value > 0.95)));
    assert.ok(Math.abs(mean(larger) - meanOfMax) < 0.004, `mean ${mean(larger)} at ${alpha}`);
    assert.ok(Math.abs(tail - over95) < 0.01, `tail ${tail} at ${alpha}`);
  }
});

test('Beta(1, 1) is uniform', () => {
  const values = draws(1);
  for (const limit of [0.05, 0.3, 0.5, 0.9]) {
    const below = mean(values.map((value) => Number(value < limit)));
    near(below, limit, limit * (1 - limit), `share below ${limit}`);
  }
});

test('alpha 0 is 1, the smallest alphas are 0 or 1, and no others are possible', () => {
  assert.ok(draws(0).every((value) => value === 1));
  assert.deepEqual([...new Set(draws(Number.MIN_VALUE))].sort(), [0, 1]);
  for (const alpha of [-1, NaN, Infinity]) assert.throws(() => betaSource(randomStream(5, 'beta'), alpha), /no Beta/);
});

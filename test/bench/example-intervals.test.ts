/** Intervals over examples against published values, exact binomial coverage and the normal approximation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  meanInterval,
  metricInterval,
  metricRatios,
  ratioInterval,
  wilsonInterval,
} from '../../plugins/bench/src/example-intervals.ts';
import { gaussian } from '../timing/simulation.ts';

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual}, expected ${expected}`);

test("Wilson's interval has the values of Newcombe 1998, table I, and stays within 0 and 1", () => {
  const cases = [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
    [29, 29, 0.883, 1],
  ] as const;
  for (const [successes, trials, low, high] of cases) {
    const interval = wilsonInterval(successes, trials);
    near(interval[0], low, 6e-5);
    near(interval[1], high, 6e-5);
  }
});

test('the interval of a mean is that of the normal approximation for many values', () => {
  const random = gaussian(3);
  const values = Float64Array.from({ length: 900 }, () => 5 + 2 * random());
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const [low, high] = meanInterval(values, 1)!;
  near(low, mean - (1.96 * 2) / 30, 0.02);
  near(high, mean + (1.96 * 2) / 30, 0.02);
  assert.equal(meanInterval(new Float64Array(5), 1), null);
});

const labels = Array.from({ length: 500 }, (_, i) => i % 2);
const wrong = (nth: number) => labels.map((label, i) => (i % nth === 0 ? 1 - label : label));

test('accuracy has the interval of a share, other metrics one from resamples', () => {
  const answers = wrong(10);
  assert.deepEqual(metricInterval({ metric: 'accuracy', answers, labels }, 1), wilsonInterval(450, 500));
  const [low, high] = metricInterval({ metric: 'matthews', answers: wrong(5), labels }, 1)!;
  // With equal classes and errors Matthews is 2 accuracy - 1, so its interval is twice as wide.
  near(low, 0.6 - 2 * 1.96 * Math.sqrt(0.16 / 500), 0.01);
  near(high, 0.6 + 2 * 1.96 * Math.sqrt(0.16 / 500), 0.01);
  const perfect = metricInterval({ metric: 'accuracy', answers: labels, labels }, 1)!;
  assert.ok(perfect[0] < 1 && perfect[1] === 1);
  assert.equal(metricInterval({ metric: 'f1', answers: [1, 0], labels: [1, 0] }, 1), null);
});

test('a retention is resampled in pairs: models that are wrong on the same examples differ by nothing', () => {
  const answers = wrong(10);
  assert.deepEqual(ratioInterval('accuracy', answers, answers, labels, 1), [1, 1]);
  const [low, high] = ratioInterval('accuracy', wrong(5), answers, labels, 1)!;
  assert.ok(low < 8 / 9 && 8 / 9 < high && high < 0.94);
  // The errors of one are among those of the other, so a tenth of the examples decides, and not three tenths.
  near(high - low, (2 * 1.96 * Math.sqrt((0.1 * 0.9) / 500)) / 0.9, 0.012);
});

test('nothing is divided by a metric that may be 0', () => {
  const constant = labels.map(() => 1);
  assert.equal(metricRatios('matthews', labels, constant, labels, 1), null);
  assert.equal(ratioInterval('matthews', labels, constant, labels, 1), null);
});

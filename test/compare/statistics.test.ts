/** Means, fidelity, calibration and intervals, against values computed by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differenceOf, meanInterval, type SeedResult } from '../../plugins/distill/src/compare/difference.ts';
import {
  agreement,
  calibrationBins,
  divergence,
  expectedCalibrationError,
  negativeLogLikelihood,
  rmsDifference,
} from '../../plugins/distill/src/compare/fidelity.ts';
import { quantileSorted, spreadOf } from '../../plugins/distill/src/compare/spread.ts';
import { resampledMetrics } from '../../src/data/index.ts';

function close(actual: number, expected: number, tolerance = 1e-12): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} within ${tolerance}`);
}

/** Logits whose softmax is p. */
const logitsOf = (...probabilities: readonly number[]) => probabilities.map((p) => Math.log(p) + 3);

test('mean, sample standard deviation and quantiles', () => {
  const spread = spreadOf([0.9, 0.8, 0.7])!;
  close(spread.mean, 0.8);
  close(spread.sd!, 0.1);
  assert.equal(spreadOf([0.9])!.sd, null);
  assert.equal(spreadOf([]), null);
  close(quantileSorted(Float64Array.from([1, 2, 4]), 0.75), 3);
});

test('agreement, divergence, likelihood and distance by hand', () => {
  const teacher = [logitsOf(0.8, 0.2), logitsOf(0.5, 0.5), logitsOf(0.1, 0.9)];
  const student = [logitsOf(0.6, 0.4), logitsOf(0.25, 0.75), logitsOf(0.1, 0.9)];
  // Equal logits are answered with the lower label, as everywhere.
  assert.equal(agreement(teacher, student), 2 / 3);
  const first = 0.8 * Math.log(0.8 / 0.6) + 0.2 * Math.log(0.2 / 0.4);
  const second = 0.5 * Math.log(0.5 / 0.25) + 0.5 * Math.log(0.5 / 0.75);
  close(divergence(teacher, student), (first + second) / 3);
  close(negativeLogLikelihood(student, [0, 0, 1]), -(Math.log(0.6) + Math.log(0.25) + Math.log(0.9)) / 3);
  close(rmsDifference([[1], [2]], [[4], [6]]), Math.sqrt(12.5));
  close(divergence([[1000, 0]], [[-1000, 0]]), 2000 - 1000, 1e-9);
});

test('calibration bins are closed above, and their error is weighted by count', () => {
  const rows = [logitsOf(0.81, 0.19), logitsOf(0.85, 0.15), logitsOf(0.3, 0.7), [0, 0], [800, 0]];
  const bins = calibrationBins([rows], [0, 1, 1, 0, 0]);
  assert.equal(bins.length, 15);
  assert.deepEqual(
    bins.map(({ count }) => count),
    [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 2, 0, 1],
  );
  const bin = bins[12]!;
  close(bin.confidence, 0.83);
  assert.equal(bin.accuracy, 0.5);
  // 0.5 right, 0.7 right, 0.81 right and 0.85 wrong, 1 right.
  close(expectedCalibrationError(bins), (0.5 + 0.3 + 2 * 0.33 + 0) / 5);
});

test('the interval of one accuracy is the binomial one', () => {
  const labels = Array.from({ length: 400 }, () => 1);
  const predictions = labels.map((_, i) => Number(i % 5 !== 0));
  const [resampled] = resampledMetrics('accuracy', [predictions], labels, { seed: 1, resamples: 2000 });
  const [low, high] = meanInterval([{ seed: 1, value: 0.8, resampled: resampled! }], 1);
  close(low, 0.8 - 1.96 * 0.02, 0.004);
  close(high, 0.8 + 1.96 * 0.02, 0.004);
});

/** Resamples that do not vary, so that only seeds do. */
const constant = (values: readonly number[], seeds = values.map((_, i) => i + 1)): SeedResult[] =>
  values.map((value, i) => ({ seed: seeds[i]!, value, resampled: new Float64Array(4000).fill(value) }));

test('seeds are paired by number', () => {
  const found = differenceOf(constant([0.9, 0.8, 0.7], [1, 2, 3]), constant([0.75, 0.6, 0.5], [2, 3, 4]), 0)!;
  assert.deepEqual(found.seeds, [2, 3]);
  close(found.estimate, 0.075);
  close(found.values[0]!, 0.05);
  close(found.values[1]!, 0.1);
  close(found.sd!, Math.sqrt(0.00125));
  assert.equal(differenceOf(constant([0.9], [1]), constant([0.9], [2]), 0), null);
});

test('drawn seeds vary as much as the mean of so many seeds does', () => {
  // The mean of four drawn seeds is 0, 1/4, ... with binomial chances: 2.5 % of them are at 0, 97.5 % at 3/4; the
  // deviations from 1/4 are rescaled by sqrt(4 / 3).
  const [low, high] = meanInterval(constant([0, 0, 0, 1]), 4);
  close(low, 0.25 - 0.25 * Math.sqrt(4 / 3));
  close(high, 0.25 + 0.5 * Math.sqrt(4 / 3));
});

test('one seed: the interval is that of the dev examples, and equal models do not differ', () => {
  const resampled = Float64Array.from({ length: 2001 }, (_, i) => i / 2000);
  const [low, high] = meanInterval([{ seed: 1, value: 0.5, resampled }], 0);
  close(low, 0.025);
  close(high, 0.975);
  const same = differenceOf(constant([0.1 + 0.2, 0.6]), constant([0.3, 0.6]), 0)!;
  assert.equal(same.verdict, 'no difference seen at 95 %');
  assert.equal(differenceOf(constant([0.6]), constant([0.5]), 0)!.verdict, 'better');
  assert.equal(differenceOf(constant([0.5]), constant([0.6]), 0)!.verdict, 'worse');
});

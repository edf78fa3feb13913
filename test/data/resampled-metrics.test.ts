/** Metrics on resamples, against the plain metrics of the drawn examples. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metrics, normalSource, randomStream, resampledMetrics, type MetricName } from '../../src/data/index.ts';

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) <= 1e-12, `${actual} is not ${expected}`);

test('resampled metrics are the plain metrics of the drawn examples', () => {
  const random = randomStream(3, 'labels');
  const normal = normalSource(random);
  const count = 40;
  const classes = Array.from({ length: count }, () => random.int(3));
  const predicted = classes.map((label) => (random.nextFloat() < 0.7 ? label : random.int(3)));
  // Ties in both, as a rounded score has them.
  const values = Array.from({ length: count }, () => Math.round(random.nextFloat() * 8) / 2);
  const guesses = values.map((value) => Math.round(value + normal()));
  const cases: Record<MetricName, readonly [number[], number[]]> = {
    accuracy: [predicted, classes],
    f1: [predicted.map((label) => label % 2), classes.map((label) => label % 2)],
    matthews: [predicted, classes],
    pearson: [guesses, values],
    spearman: [guesses, values],
    pearson_spearman: [guesses, values],
  };
  const resamples = 25;
  for (const [name, [predictions, labels]] of Object.entries(cases)) {
    const metric = name as MetricName;
    const [first, second] = resampledMetrics(metric, [predictions, labels], labels, { seed: 5, resamples });
    const draws = randomStream(5, 'dev examples');
    for (let r = 0; r < resamples; r++) {
      const drawn = labels.map(() => draws.int(count));
      const take = (list: readonly number[]) => drawn.map((i) => list[i]!);
      near(first![r]!, metrics[metric](take(predictions), take(labels)));
      near(second![r]!, 1);
    }
    assert.ok(new Set(first).size > 5, `${metric} does not vary`);
  }
});

test('a model that answers NaN gets an answer', () => {
  const labels = [1, 2, 3, 4, 5, 6];
  for (const metric of ['spearman', 'pearson_spearman'] as const) {
    const [broken, whole] = resampledMetrics(metric, [[NaN, 1, 2, NaN, 3, NaN], labels], labels, {
      seed: 1,
      resamples: 9,
    });
    assert.equal(broken!.length, 9);
    for (const value of whole!) near(value, 1);
  }
});

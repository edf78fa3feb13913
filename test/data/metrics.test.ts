/** Metrics against scikit-learn 1.9.1 and SciPy 1.17.1, and what they give for degenerate inputs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argmaxRows, metrics, ranks, scoreTask, taskNamed, type MetricName } from '../../src/data/index.ts';

// accuracy_score, f1_score, matthews_corrcoef of (labels, predictions); pearsonr, spearmanr of (predictions, labels).
const predicted = [0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1];
const actual = [0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1];
const threePredicted = [0, 2, 1, 2, 0, 1, 1, 2, 0, 1];
const threeActual = [0, 2, 2, 2, 1, 1, 0, 2, 0, 1];
const values = [0.5, 2.5, 2.5, 4.25, 1, 3.75, 2.5, 5, 0, 1];
const targets = [0, 2, 3, 4.5, 1.5, 3, 2, 4.5, 0.25, 1.5];
const waves = Array.from({ length: 500 }, (_, i) => Math.sin(i * 1.7) * 3);
const steps = Array.from({ length: 500 }, (_, i) => Math.floor(Math.sin(i * 1.7 + 0.5) * 4) / 2);

const golden: readonly (readonly [MetricName, number[], number[], number])[] = [
  ['accuracy', predicted, actual, 0.6666666666666666],
  ['f1', predicted, actual, 0.7142857142857143],
  ['matthews', predicted, actual, 0.3142857142857143],
  ['accuracy', threePredicted, threeActual, 0.7],
  ['matthews', threePredicted, threeActual, 0.5606060606060606],
  ['pearson', values, targets, 0.9520303227278779],
  ['spearman', values, targets, 0.965736773416002],
  ['pearson_spearman', values, targets, (0.9520303227278779 + 0.965736773416002) / 2],
  ['pearson', waves, steps, 0.8715020122382018],
  ['spearman', waves, steps, 0.8666407184831366],
];

const degenerate: readonly (readonly [MetricName, number[], number[], number])[] = [
  ['f1', [0, 0, 0], [0, 0, 0], 0],
  ['f1', [0, 0, 0], [1, 1, 0], 0],
  ['f1', [1], [1], 1],
  ['matthews', [1, 1, 1], [0, 1, 0], 0],
  ['matthews', [0, 1, 0], [1, 1, 1], 0],
  ['matthews', [0, 1, 0], [1, 0, 1], -1],
  ['pearson', [0.1, 0.1, 0.1], [1, 2, 3], 0],
  ['pearson', [1, 2, 3], [0.1, 0.1, 0.1], 0],
  ['pearson', [5], [5], 0],
  ['pearson', [1e-200, 2e-200, 3e-200], [1, 2, 3], 0],
  ['spearman', [1e-200, 2e-200, 3e-200], [1, 2, 3], 1],
  ['spearman', [7, 7, 7], [1, 2, 3], 0],
  ['pearson_spearman', [7, 7], [1, 2], 0],
];

for (const [name, predictions, labels, expected] of [...golden, ...degenerate]) {
  test(`${name} of ${predictions.slice(0, 4)},... and ${labels.slice(0, 4)},... is ${expected}`, () => {
    assert.ok(Math.abs(metrics[name](predictions, labels) - expected) < 1e-12, `${metrics[name](predictions, labels)}`);
  });
}

test('a metric of different lengths, or of nothing, is a bug', () => {
  for (const metric of Object.values(metrics)) {
    assert.throws(() => metric([1], [1, 0]), /^Error: internal:/);
    assert.throws(() => metric([], []), /^Error: internal:/);
  }
});

test('equal values share their average rank', () => {
  assert.deepEqual([...ranks([3, 1, 3, 2, 3])], [4, 1, 4, 2, 4]);
});

test('the largest logit wins, the first among equals', () => {
  assert.deepEqual([...argmaxRows(Float32Array.of(0, 1, 2, 5, 5, -1, -3, -2, -1), 3)], [2, 0, 2]);
});

test('tasks are scored by their own metrics', () => {
  const logits = Float32Array.of(1, 0, 0, 1, 0, 1, 1, 0);
  assert.deepEqual(scoreTask(taskNamed('mrpc'), logits, [0, 1, 0, 1]), {
    metrics: { accuracy: 0.5, f1: 0.5 },
    primary: 0.5,
  });
  assert.deepEqual(scoreTask(taskNamed('cola'), logits, [0, 1, 1, 0]), { metrics: { matthews: 1 }, primary: 1 });
  const score = scoreTask(taskNamed('stsb'), Float32Array.of(1, 2, 4), [0, 2.5, 5]);
  assert.deepEqual(Object.keys(score.metrics), ['pearson_spearman', 'pearson', 'spearman']);
  assert.ok(Math.abs(score.metrics.spearman! - 1) < 1e-12);
  assert.equal(score.primary, score.metrics.pearson_spearman);
});

test('logits that are no numbers are an error, not a score', () => {
  assert.throws(() => scoreTask(taskNamed('sst2'), Float32Array.of(0, 1, NaN, 0), [0, 1]), {
    code: 'invalid-logits',
    message: /NaN for example 1/,
    exitCode: 1,
  });
  assert.throws(() => scoreTask(taskNamed('sst2'), Float32Array.of(0, 1, 1), [0, 1]), /internal: 3 logits/);
});

/** Whether a classifier answers the question of a task. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkLabels } from '../../src/classifier/index.ts';
import { taskNamed } from '../../src/data/index.ts';
import { tinyConfig } from '../checkpoint/tiny-bert.ts';

const check = (labels: readonly string[], task: string) =>
  checkLabels({ ref: 'model', config: tinyConfig({ id2label: { ...labels } }) }, taskNamed(task), ['try this']);

describe('labels of a classifier and a task', () => {
  const fitting: readonly (readonly [labels: readonly string[], task: string])[] = [
    [['negative', 'positive'], 'sst2'],
    [['NEGATIVE', 'Positive'], 'sst2'],
    [['LABEL_0', 'LABEL_1'], 'sst2'],
    [['bad', 'good'], 'sst2'],
    [['similarity'], 'stsb'],
  ];
  for (const [labels, task] of fitting)
    it(`${labels.join(', ')} fit ${task}`, () => {
      check(labels, task);
    });

  const other: readonly (readonly [labels: readonly string[], task: string, message: RegExp])[] = [
    [['positive', 'negative'], 'sst2', /are positive, negative, those of sst2 are negative, positive: another order/],
    [['entailment', 'contradiction', 'neutral'], 'mnli', /another order/],
    [['positive', 'other'], 'sst2', /another order/],
    [['a', 'b', 'c'], 'sst2', /model has 3 labels \(a, b, c\), sst2 has 2/],
    [['score'], 'sst2', /model is for regression, the task sst2 is classification/],
    [['negative', 'positive'], 'stsb', /model is for classification, the task stsb is regression/],
  ];
  for (const [labels, task, message] of other)
    it(`${labels.join(', ')} do not fit ${task}`, () => {
      assert.throws(() => check(labels, task), { code: 'label-mismatch', message, suggestions: ['try this'] });
    });
});

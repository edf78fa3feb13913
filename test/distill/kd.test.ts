/** The loss of knowledge distillation, put together. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kd, type KdOptions } from '../../plugins/distill/src/methods/kd.ts';
import { modelOf, numbersOf, tensorOf } from '../../src/graph/index.ts';
import type { ClassifierOutputs } from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import type { StepContext } from '../../src/train/index.ts';
import { runModel } from '../support/run-model.ts';

type Named = Readonly<Record<string, number>>;

/** Loss and metrics of two examples; logits [2, classes]. */
async function evaluate(student: number[], teacher: number[], labels: number[], options: KdOptions): Promise<Named> {
  const g = new GraphBuilder('float64');
  const matrix = (values: number[]) => g.constant(tensorOf('float64', [2, values.length / 2], values));
  const context = {
    g,
    labels: options.regression ? g.constant(tensorOf('float64', [2], labels)) : g.ints(labels),
    weights: g.constant(tensorOf('float64', [2], [1, 1])),
  } as unknown as StepContext;
  const outputs = { logits: matrix(student) } as unknown as ClassifierOutputs;
  const { loss, metrics } = kd.loss(context, outputs, { logits: matrix(teacher) }, options);
  for (const [name, value] of Object.entries({ loss, ...metrics })) g.output(name, value);
  const results = await (await runModel(modelOf(g.build('kd'))))(new Map());
  return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, numbersOf(value)[0]!]));
}

describe('kd', () => {
  const base: KdOptions = { temperature: 10, alpha: 0.7, reduction: 'batchmean', regression: false };
  // The vector of the specification of Pea-KD, section 6.1.
  const [student, teacher] = [
    [1.2, -0.3, 0.4, 0.9],
    [2, -1, -0.5, 1.5],
  ];
  const hard_loss = 0.337745131;
  const cases: Readonly<Record<string, readonly [Partial<KdOptions>, Named]>> = {
    'the divergence averaged over examples': [{}, { hard_loss, soft_loss: 0.278202954, loss: 0.296065607 }],
    'and over classes': [{ reduction: 'mean' }, { hard_loss, soft_loss: 0.139101477, loss: 0.198694573 }],
    'labels alone': [{ alpha: 0 }, { hard_loss, soft_loss: 0.278202954, loss: hard_loss }],
    'the teacher alone': [{ alpha: 1 }, { hard_loss, soft_loss: 0.278202954, loss: 0.278202954 }],
  };
  for (const [title, [options, expected]] of Object.entries(cases))
    it(title, async () => {
      const actual = await evaluate(student, teacher, [0, 1], { ...base, ...options });
      for (const [name, value] of Object.entries(expected))
        assert.ok(Math.abs(actual[name]! - value) < 1e-9, `${name} ${actual[name]}, not ${value}`);
    });

  it('squared errors for a regression', async () => {
    const actual = await evaluate([1, 2], [2, 4], [1, 5], { ...base, alpha: 0.25, regression: true });
    assert.deepEqual(actual, { hard_loss: 4.5, soft_loss: 2.5, loss: 0.75 * 4.5 + 0.25 * 2.5 });
  });
});

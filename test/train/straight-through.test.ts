/** What is read in place of a parameter: its gradient is taken as that of the parameter, and the parameter is updated. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { tensorOf, type Tensor } from '../../src/graph/index.ts';
import { fakeQuantized, squaredError, type Parameter } from '../../src/nn/index.ts';
import { adamwScalars } from '../../src/optim/index.ts';
import { buildStep, slots, type Objective, type StepOptions } from '../../src/train/index.ts';
import { runModel } from '../support/run-model.ts';

const weight: Parameter = { name: 'w', shape: [2, 1], kind: 'linear' };
const options: StepOptions = {
  adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  clipNorm: Infinity,
  mode: 'update',
};

/** (x·w - y)² of one example, x = (1, 2), y = 3. */
const plain: Objective = {
  parameters: [weight],
  regression: true,
  loss: ({ g, parameter, labels, weights }) => ({
    loss: squaredError(
      g,
      g.op('MatMul', [g.constant(tensorOf('float32', [1, 2], [1, 2])), parameter('w')]),
      labels,
      weights,
    ),
  }),
};

async function step(objective: Objective, w: readonly number[]): Promise<Record<string, Tensor>> {
  const { model } = buildStep(objective, { rows: 1, length: 4 }, options);
  const { stepSize, epsilon, shrink } = adamwScalars(options.adamw, 1, 0.01);
  const scalar = (value: number) => tensorOf('float32', [], [value]);
  return (await runModel(model))(
    new Map<string, Tensor>([
      ['w', tensorOf('float32', [2, 1], w)],
      [slots.moment1('w'), tensorOf('float32', [2, 1], [0, 0])],
      [slots.moment2('w'), tensorOf('float32', [2, 1], [0, 0])],
      ['labels', tensorOf('float32', [1], [3])],
      ['weights', tensorOf('float32', [1], [1])],
      ['step_size', scalar(stepSize)],
      ['epsilon', scalar(epsilon)],
      ['shrink', scalar(shrink)],
    ]),
  );
}

const numbers = (value: Tensor | undefined) => [...(value?.data as Float32Array)];

it('the loss and the gradient are those of the rounded values, the update is that of the parameter', async () => {
  const rounded: Objective = {
    ...plain,
    inPlaceOf: (g, _, value) => fakeQuantized(g, value, { kind: 'blocks', bits: 4, block: 16 }),
  };
  const [w, onGrid] = [
    [0.8, 0.33],
    [0.8, 0.3],
  ];
  const [aware, reference] = [await step(rounded, w), await step(plain, onGrid)];
  for (const name of ['loss', 'gradient_norm']) {
    const [actual, expected] = [numbers(aware[name])[0]!, numbers(reference[name])[0]!];
    assert.ok(Math.abs(actual - expected) < 1e-5, `${name} ${actual}, not ${expected}`);
  }
  // Adam's first step is the learning rate in size, against the gradient's sign.
  for (const [i, value] of numbers(aware[slots.next('w')]).entries())
    assert.ok(Math.abs(value - (w[i]! + 0.01)) < 1e-5, `w[${i}] became ${value}`);
});

/** Optimizers against PyTorch's formulas, schedules against Transformers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelOf, numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import {
  adamwScalars,
  adamwUpdate,
  clipFactor,
  globalNorm,
  scheduleFactor,
  type AdamWOptions,
} from '../../src/optim/index.ts';
import { runModel } from '../support/run-model.ts';

describe('scheduleFactor', () => {
  // transformers 5.23.0: get_linear_schedule_with_warmup(optimizer, ceil(total * warmup), total), at steps 0 to total.
  const linear: readonly [total: number, warmup: number, factors: readonly number[]][] = [
    [10, 0.25, [0, 1 / 3, 2 / 3, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7, 0]],
    [4, 0, [1, 0.75, 0.5, 0.25, 0]],
    [7, 0.1, [0, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]],
    [3, 1, [0, 1 / 3, 2 / 3, 0]],
  ];
  for (const [total, warmup, factors] of linear)
    it(`linear, ${total} steps, warm-up ${warmup}`, () =>
      factors.forEach((factor, step) => {
        const actual = scheduleFactor({ name: 'linear', warmup }, step, total);
        assert.ok(Math.abs(actual - factor) < 1e-12, `${actual}, not ${factor} at step ${step}`);
      }));

  it('constant after its warm-up', () => {
    const factors = Array.from({ length: 6 }, (_, step) => scheduleFactor({ name: 'constant', warmup: 0.3 }, step, 6));
    assert.deepEqual(factors, [0, 0.5, 1, 1, 1, 1]);
  });
});

/** PyTorch's AdamW for one number, in float64: torch/optim/adamw.py, single tensor. */
function reference(
  options: AdamWOptions,
  start: number,
  gradients: readonly number[],
  rates: readonly number[],
): number[] {
  const { beta1, beta2, epsilon, weightDecay } = options;
  let [p, m, v] = [start, 0, 0];
  return gradients.map((gradient, i) => {
    const step = i + 1;
    const rate = rates[i]!;
    p *= 1 - rate * weightDecay;
    m = beta1 * m + (1 - beta1) * gradient;
    v = beta2 * v + (1 - beta2) * gradient * gradient;
    const denominator = Math.sqrt(v) / Math.sqrt(1 - beta2 ** step) + epsilon;
    p -= ((rate / (1 - beta1 ** step)) * m) / denominator;
    return p;
  });
}

describe('AdamW in float64 is the plain formula', () => {
  const options: AdamWOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };
  const gradients = [0.5, -2, 0, 1e-4, 3];
  const rates = [0, 0.01, 0.1, 0.05, 0.02];
  const cases: Readonly<Record<string, Partial<AdamWOptions>>> = {
    'usual options': {},
    'a large epsilon': { epsilon: 0.3 },
    'other decays': { beta1: 0.5, beta2: 0.9 },
    'no momentum': { beta1: 0 },
    'strong weight decay': { weightDecay: 2 },
  };
  const F = 'float64';

  async function update(given: AdamWOptions, decayed: boolean): Promise<number[]> {
    const g = new GraphBuilder(F);
    const scalar = (name: string) => g.input(name, F, []);
    const next = adamwUpdate(
      g,
      given,
      { stepSize: scalar('stepSize'), epsilon: scalar('epsilon'), shrink: scalar('shrink') },
      { parameter: scalar('p'), moment1: scalar('m'), moment2: scalar('v') },
      scalar('gradient'),
      decayed,
    );
    g.output('p2', next.parameter);
    g.output('m2', next.moment1);
    g.output('v2', next.moment2);
    const run = await runModel(modelOf(g.build('adamw')));
    const values: number[] = [];
    let state: [number, number, number] = [1.5, 0, 0];
    for (const [i, gradient] of gradients.entries()) {
      const [p, m, v] = state;
      const feeds = { ...adamwScalars(given, i + 1, rates[i]!), p, m, v, gradient };
      const results = await run(
        new Map(Object.entries(feeds).map(([name, value]): [string, Tensor] => [name, tensorOf(F, [], [value])])),
      );
      state = ['p2', 'm2', 'v2'].map((name) => numbersOf(results[name]!)[0]!) as typeof state;
      values.push(state[0]);
    }
    return values;
  }

  const assertNear = (actual: number[], expected: number[]) =>
    expected.forEach((value, i) =>
      assert.ok(Math.abs(actual[i]! - value) < 1e-12, `step ${i + 1}: ${actual[i]}, not ${value}`),
    );

  for (const [title, changes] of Object.entries(cases))
    it(title, async () => {
      const all = { ...options, ...changes };
      assertNear(await update(all, true), reference(all, 1.5, gradients, rates));
    });

  it('a parameter that does not decay', async () => {
    const all = { ...options, weightDecay: 2 };
    assertNear(await update(all, false), reference({ ...all, weightDecay: 0 }, 1.5, gradients, rates));
  });
});

describe('clipping', () => {
  const cases: readonly [title: string, maxNorm: number, factor: number][] = [
    ['above the limit', 6.5, 6.5 / (13 + 1e-6)],
    ['below the limit', 20, 1],
    ['switched off', Infinity, 1],
  ];
  for (const [title, maxNorm, factor] of cases)
    it(`the norm over all gradients, ${title}`, async () => {
      const g = new GraphBuilder('float64');
      // 3² + 4² + 12² = 13²
      const parts = [tensorOf('float64', [2, 1], [3, 4]), tensorOf('float64', [], [-12])].map((t) => g.constant(t));
      const norm = globalNorm(g, parts);
      g.output('norm', norm);
      g.output('factor', clipFactor(g, norm, maxNorm));
      const results = await (await runModel(modelOf(g.build('clip'))))(new Map());
      assert.deepEqual(numbersOf(results['norm']!), [13]);
      assert.ok(Math.abs(numbersOf(results['factor']!)[0]! - factor) < 1e-15);
    });
});

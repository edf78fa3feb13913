/** Dropout: masks drawn on the host, and what the step graph does with them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { buildStep, drawMasks, type DropoutSite, type Objective, type StepOptions } from '../../src/train/index.ts';
import { runModel } from '../support/run-model.ts';

describe('dropout masks', () => {
  const site = (name: string, keep: number, dims: number[]): DropoutSite => ({
    name,
    keep,
    dims,
    count: dims.reduce((product, dim) => product * dim, 1),
  });
  const sites = [
    site('dropout/0', 0.9, [100, 100]),
    site('dropout/1', 0.9, [100, 100]),
    site('dropout/2', 0.5, [50_000]),
  ];

  it('are the same for the same seed and position', () => {
    assert.deepEqual(drawMasks(sites, 7, [3, 1]), drawMasks(sites, 7, [3, 1]));
  });

  const others: Readonly<Record<string, Parameters<typeof drawMasks>>> = {
    seed: [sites, 8, [3, 1]],
    step: [sites, 7, [4, 1]],
    batch: [sites, 7, [3, 0]],
    'number of batches': [sites, 7, [3]],
  };
  for (const [title, words] of Object.entries(others))
    it(`are others for another ${title}`, () => {
      const [one, other] = [drawMasks(sites, 7, [3, 1]), drawMasks(...words)];
      for (const { name } of sites) assert.notDeepEqual(one[name], other[name]);
    });

  it('are others at each site', () => {
    const masks = drawMasks(sites, 7, [3, 1]);
    assert.notDeepEqual(masks['dropout/0']!.data, masks['dropout/1']!.data);
  });

  it('keep as many as asked, as 0 and 1', () => {
    for (const [name, mask] of Object.entries(drawMasks(sites, 7, [0, 0]))) {
      const { keep, dims, count } = sites.find((each) => each.name === name)!;
      assert.deepEqual([mask.dtype, mask.dims, mask.data.length], ['bool', dims, count]);
      assert.deepEqual(new Set(mask.data), new Set([0, 1]));
      const rate = mask.data.reduce((sum, bit) => sum + bit, 0) / count;
      // Five standard deviations.
      assert.ok(Math.abs(rate - keep) < 5 * Math.sqrt((keep * (1 - keep)) / count), `${name} keeps ${rate}`);
    }
  });
});

describe('dropout in the step graph', () => {
  const shape = [2, 4];
  const objective = (probability: number): Objective => ({
    parameters: [{ name: 'w', shape, kind: 'linear' }],
    regression: false,
    loss: ({ g, parameter, dropout }) => ({
      loss: g.total(dropout.apply(dropout.apply(parameter('w'), probability), probability / 2)),
    }),
  });
  const adamw = { beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0 };
  const options: StepOptions = { adamw, clipNorm: Infinity, mode: 'update' };
  const build = (probability: number) => buildStep(objective(probability), { rows: 1, length: 3 }, options);

  it('asks for a mask at each site', () => {
    assert.deepEqual(build(0.5).dropout, [
      { name: 'dropout/0', keep: 0.5, count: 8, dims: shape },
      { name: 'dropout/1', keep: 0.75, count: 8, dims: shape },
    ]);
  });

  it('is nothing at probability 0', () => {
    const { dropout, model } = build(0);
    assert.deepEqual(dropout, []);
    assert.ok(model.graph.inputs.every(({ dtype }) => dtype === 'float32'));
  });

  it('drops what the masks drop, and makes up for it in values and gradients', async () => {
    const [first, second] = [
      [1, 0, 1, 1, 0, 0, 1, 1],
      [1, 1, 0, 1, 0, 1, 0, 1],
    ];
    const factors = first.map((bit, i) => (bit * second[i]!) / (0.5 * 0.75));
    const w = [1, 2, 3, 4, 5, 6, 7, 8];
    const zeros = tensorOf('float32', shape, new Float32Array(8));
    const feeds = new Map<string, Tensor>([
      ['w', tensorOf('float32', shape, w)],
      ['moment1/w', zeros],
      ['moment2/w', zeros],
      ['dropout/0', tensorOf('bool', shape, first)],
      ['dropout/1', tensorOf('bool', shape, second)],
      ...['step_size', 'epsilon', 'shrink'].map((name): [string, Tensor] => [name, tensorOf('float32', [], [1])]),
    ]);
    const results = await (await runModel(build(0.5).model))(feeds);
    const loss = w.reduce((sum, value, i) => sum + value * factors[i]!, 0);
    assert.ok(Math.abs(numbersOf(results['loss']!)[0]! - loss) < 1e-5);
    // Without decay of moments the first moment is the gradient.
    numbersOf(results['next/moment1/w']!).forEach((value, i) => assert.ok(Math.abs(value - factors[i]!) < 1e-6));
  });
});

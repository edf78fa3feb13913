/** Pairs and shares of MixKD. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawPairs, type PairOptions } from '../../../plugins/distill/src/methods/mixkd-draws.ts';
import { randomStream } from '../../../src/data/index.ts';
import { numbersOf } from '../../../src/graph/index.ts';

const defaults: PairOptions = {
  alpha: 0.4,
  lambdas: 'beta',
  lambdaPer: 'pair',
  lambdaMax: false,
  pairing: 'permutation',
  mixRatio: 1,
};

interface Sample {
  readonly row: number;
  readonly partner: number;
  readonly lambda: number;
  readonly weight: number;
}

function draw(options: Partial<PairOptions>, examples: number, { rows = examples, step = 0 } = {}): Sample[] {
  const random = (name: string) => randomStream(9, name, step);
  const drawn = drawPairs({ ...defaults, ...options }, { bucket: { rows, length: 8 }, examples, random });
  const [row, partner, lambda, weight] = [drawn.mix_row, drawn.mix_partner, drawn.mix_lambda, drawn.mix_weights].map(
    numbersOf,
  ) as [number[], number[], number[], number[]];
  return row.map((_, m) => ({ row: row[m]!, partner: partner[m]!, lambda: lambda[m]!, weight: weight[m]! }));
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const steps = range(300);

describe('pairs', () => {
  it('every example is once a first member and once a partner', () => {
    for (const pairing of ['permutation', 'rotation'] as const)
      for (const step of steps.slice(0, 20)) {
        const samples = draw({ pairing }, 7, { step });
        assert.deepEqual(
          samples.map(({ row }) => row),
          range(7),
        );
        assert.deepEqual(sorted(samples.map(({ partner }) => partner)), range(7));
      }
  });

  it('filler rows are never partners; they stay themselves, unmixed, with weight 0', () => {
    for (const step of steps) {
      const samples = draw({}, 5, { rows: 8, step });
      assert.ok(samples.slice(0, 5).every(({ partner, weight }) => partner < 5 && weight === 1));
      assert.deepEqual(
        samples.slice(5),
        [5, 6, 7].map((row) => ({ row, partner: row, lambda: 1, weight: 0 })),
      );
    }
  });

  it('a permutation has one self-pair on average, a rotation none and every offset', () => {
    const selfPairs = (pairing: PairOptions['pairing'], examples: number) =>
      steps.map((step) => draw({ pairing }, examples, { step }).filter(({ row, partner }) => row === partner).length);
    const mean = selfPairs('permutation', 6).reduce((sum, count) => sum + count, 0) / steps.length;
    assert.ok(Math.abs(mean - 1) < 5 / Math.sqrt(steps.length), `${mean} self-pairs`);
    for (const examples of [2, 3, 6]) assert.ok(selfPairs('rotation', examples).every((count) => count === 0));
    const partnersOfFirst = new Set(steps.map((step) => draw({ pairing: 'rotation' }, 6, { step })[0]!.partner));
    assert.deepEqual(sorted([...partnersOfFirst]), [1, 2, 3, 4, 5]);
  });

  it('a single example is its own partner', () => {
    for (const pairing of ['permutation', 'rotation'] as const)
      assert.deepEqual(
        draw({ pairing }, 1).map(({ row, partner }) => [row, partner]),
        [[0, 0]],
      );
  });

  it('the same stream gives the same draw, another step another one, other shares the same pairs', () => {
    assert.deepEqual(draw({}, 9), draw({}, 9));
    assert.notDeepEqual(draw({}, 9), draw({}, 9, { step: 1 }));
    const members = (options: Partial<PairOptions>) => draw(options, 9).map(({ row, partner }) => [row, partner]);
    assert.deepEqual(members({ alpha: 2 }), members({ lambdas: 'binary' }));
  });
});

describe('the ratio of mixed samples', () => {
  it('2 is two independent draws for every example', () => {
    const samples = draw({ mixRatio: 2 }, 6, { rows: 8 });
    assert.equal(samples.length, 16);
    const [first, second, filler] = [samples.slice(0, 6), samples.slice(6, 12), samples.slice(12)];
    for (const half of [first, second])
      assert.deepEqual(
        half.map(({ row }) => row),
        range(6),
      );
    assert.notDeepEqual(first, second);
    assert.ok(filler.every(({ row, partner, lambda, weight }) => row === partner && lambda === 1 && weight === 0));
  });

  it('a fraction mixes that many different examples, others in other steps, at least one', () => {
    const seen = new Set<number>();
    for (const step of steps) {
      const rows = draw({ mixRatio: 0.25 }, 8, { step }).map(({ row }) => row);
      assert.equal(rows.length, 2);
      assert.equal(new Set(rows).size, 2);
      for (const row of rows) seen.add(row);
    }
    assert.deepEqual(sorted([...seen]), range(8));
    assert.equal(draw({ mixRatio: 0.01 }, 8).filter(({ weight }) => weight === 1).length, 1);
    assert.equal(draw({ mixRatio: 1.5 }, 8).length, 12);
  });

  it('the shape depends on the bucket alone', () => {
    for (const mixRatio of [0.3, 0.5, 1, 1.5, 3])
      for (const examples of range(8)) {
        const samples = draw({ mixRatio }, examples + 1, { rows: 8 });
        assert.equal(samples.length, Math.round(8 * mixRatio));
        const weight = samples.reduce((sum, sample) => sum + sample.weight, 0);
        assert.equal(weight, Math.max(1, Math.round((examples + 1) * mixRatio)));
      }
  });
});

describe('shares', () => {
  const lambdas = (options: Partial<PairOptions>, examples = 200) =>
    draw(options, examples).map(({ lambda }) => lambda);

  it('are drawn for each pair', () => {
    const values = lambdas({});
    assert.ok(new Set(values).size > 150);
    assert.ok(values.every((value) => value >= 0 && value <= 1));
    assert.ok(Math.min(...values) < 0.1 && Math.max(...values) > 0.9);
  });

  it('alpha 0 mixes nothing', () => assert.deepEqual([...new Set(lambdas({ alpha: 0 }))], [1]));

  it('binary shares are 0 or 1', () => assert.deepEqual(sorted([...new Set(lambdas({ lambdas: 'binary' }))]), [0, 1]));

  it('lambdaMax takes the larger share', () => {
    const plain = lambdas({});
    for (const [i, larger] of lambdas({ lambdaMax: true }).entries())
      assert.ok(Math.abs(larger - Math.max(plain[i]!, 1 - plain[i]!)) < 1e-6);
  });

  it('one for all of a batch, another for its second draw', () => {
    const values = lambdas({ lambdaPer: 'batch', mixRatio: 2, alpha: 1 }, 5);
    assert.equal(new Set(values.slice(0, 5)).size, 1);
    assert.equal(new Set(values.slice(5)).size, 1);
    assert.notEqual(values[0], values[5]);
  });
});

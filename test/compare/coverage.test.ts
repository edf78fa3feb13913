/** Simulated comparisons: intervals cover the truth about as often as they say, and a real effect is found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differenceOf, type Difference, type SeedResult } from '../../plugins/distill/src/compare/difference.ts';
import { metrics, randomStream, resampledMetrics, type Random } from '../../src/data/index.ts';
import { normal } from './sample.ts';

interface World {
  readonly count: number;
  readonly seeds: number;
  /** Standard deviation over seeds of the chance of a right answer. */
  readonly seedSpread: number;
  /** Of the first method over the second. */
  readonly effect: number;
}

const simulations = 100;
const options = { seed: 1, resamples: 300 };

/** Binary answers, right with a chance that depends on the example, the method and the seed. */
function simulate(world: World, random: Random): Difference {
  const labels = Array.from({ length: world.count }, () => random.int(2));
  const easiness = labels.map(() => 0.55 + 0.3 * random.nextFloat());
  const student = (effect: number) => {
    const ability = effect + world.seedSpread * normal(random);
    return labels.map((label, i) => (random.nextFloat() < easiness[i]! + ability ? label : 1 - label));
  };
  const answers = [world.effect, 0].flatMap((effect) => Array.from({ length: world.seeds }, () => student(effect)));
  const resampled = resampledMetrics('accuracy', answers, labels, options);
  const results = answers.map((predictions, i): SeedResult => ({
    seed: i % world.seeds,
    value: metrics.accuracy(predictions, labels),
    resampled: resampled[i]!,
  }));
  return differenceOf(results.slice(0, world.seeds), results.slice(world.seeds), options.seed)!;
}

function simulateAll(world: World): Difference[] {
  return Array.from({ length: simulations }, (_, i) => simulate(world, randomStream(i, 'world')));
}

const worlds: Readonly<Record<string, World>> = {
  'one seed': { count: 100, seeds: 1, seedSpread: 0, effect: 0 },
  'three seeds that differ by chance': { count: 100, seeds: 3, seedSpread: 0, effect: 0 },
  'three seeds that differ': { count: 100, seeds: 3, seedSpread: 0.05, effect: 0 },
  'five seeds, a difference': { count: 100, seeds: 5, seedSpread: 0.03, effect: 0.08 },
};

for (const [name, world] of Object.entries(worlds)) {
  test(`the interval covers the truth: ${name}`, () => {
    const covered = simulateAll(world).filter(({ ci95: [low, high] }) => low <= world.effect && world.effect <= high);
    assert.ok(covered.length >= 90, `${covered.length} of ${simulations}`);
  });
}

test('a planted difference is found, and its direction', () => {
  const better = simulateAll({ count: 150, seeds: 3, seedSpread: 0.01, effect: 0.16 });
  const found = better.filter(({ verdict }) => verdict === 'better');
  assert.ok(found.length >= 90, `${found.length} of ${simulations}`);
  assert.ok(better.every(({ verdict }) => verdict !== 'worse'));
});

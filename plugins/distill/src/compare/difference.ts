/** Intervals of means over seeds and of differences between methods, from resamples of dev examples and seeds. */
import { randomStream } from 'kdx/data';
import { mean, quantileSorted, spreadOf, type Interval } from './spread.ts';

/** One trained student (or the difference of two): its metric on the dev set and on each resample of it. */
export interface SeedResult {
  readonly seed: number;
  readonly value: number;
  readonly resampled: Float64Array;
}

export type Verdict = 'better' | 'worse' | 'no difference seen at 95 %';

export interface Difference {
  /** Method minus baseline: mean over the seeds that both have. */
  readonly estimate: number;
  readonly ci95: Interval;
  readonly verdict: Verdict;
  /** Sample standard deviation of the differences by seed; `null` for one seed. */
  readonly sd: number | null;
  /** Those that both methods have, and the difference in each. */
  readonly seeds: readonly number[];
  readonly values: readonly number[];
}

/** Rounding in sums of shares stays far below; one example of a dev set stays far above. */
const rounding = 1e-9;

/**
 * 95 % percentile interval of the mean over seeds. Dev examples are resampled already; here seeds are, too, when there
 * are at least two. Means of k drawn seeds vary too little by the factor sqrt((k - 1) / k), so their deviation from the
 * mean of all is rescaled (Rao and Wu 1988). Examples and seeds are crossed, which makes the interval rather too wide
 * than too narrow while seeds differ mostly by chance of the dev examples (Owen 2007).
 */
export function meanInterval(results: readonly SeedResult[], bootstrapSeed: number): Interval {
  const count = results.length;
  const random = randomStream(bootstrapSeed, 'seeds');
  const stretch = count < 2 ? 0 : Math.sqrt(count / (count - 1));
  const estimates = Float64Array.from((results[0] as SeedResult).resampled, (_, r) => {
    const values = results.map(({ resampled }) => resampled[r] as number);
    const drawn = mean(values.map(() => values[random.int(count)] as number));
    const all = mean(values);
    return all + stretch * (drawn - all);
  }).sort();
  return [quantileSorted(estimates, 0.025), quantileSorted(estimates, 0.975)];
}

/** Paired by dev example and by seed; `null` when no seed is in both. */
export function differenceOf(
  method: readonly SeedResult[],
  baseline: readonly SeedResult[],
  bootstrapSeed: number,
): Difference | null {
  const pairs = method.flatMap((a) => {
    const b = baseline.find(({ seed }) => seed === a.seed);
    return b ? [{ seed: a.seed, value: a.value - b.value, resampled: subtract(a.resampled, b.resampled) }] : [];
  });
  const spread = spreadOf(pairs.map(({ value }) => value));
  if (spread === null) return null;
  const ci95 = meanInterval(pairs, bootstrapSeed);
  const { mean: estimate, sd, values } = spread;
  return { estimate, ci95, verdict: verdictOf(ci95), sd, seeds: pairs.map(({ seed }) => seed), values };
}

/** More is better in every metric of a task. */
function verdictOf([low, high]: Interval): Verdict {
  if (low > rounding) return 'better';
  return high < -rounding ? 'worse' : 'no difference seen at 95 %';
}

function subtract(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] as number));
}

/** Confidence intervals by the percentile bootstrap (Efron 1979), circular blocks when the series is autocorrelated. */
import { randomStream } from '../data/index.ts';
import { quantileSorted, sorted, type Interval } from './statistics.ts';

export interface BootstrapOptions {
  readonly seed: number;
  /** Default 10 000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly confidence?: number;
  /** Values drawn together; 1 is the ordinary bootstrap. Default: `blockLength(values)`. */
  readonly blockLength?: number;
}

/** Fewer values than this span no 95 % interval of a median: min to max of n covers it with 1 - 2^(1-n), 94 % for n = 5. */
export const MIN_VALUES = 6;

/** The index of each value in ascending order; equal values in order of appearance. */
function ranksOf(values: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => (values[a] as number) - (values[b] as number) || a - b);
  const ranks = new Uint32Array(values.length);
  order.forEach((index, rank) => (ranks[index] = rank));
  return ranks;
}

/**
 * Block length for a series in time order: 1 unless the lag-1 autocorrelation r of its ranks is significant (above
 * 2 / sqrt(n)), then Carlstein's (1986) optimum for an AR(1) series, (2r / (1 - r^2))^(2/3) n^(1/3), at most n / 4.
 */
export function blockLength(values: ArrayLike<number>): number {
  const n = values.length;
  if (n < 4) return 1;
  const ranks = ranksOf(values);
  const centre = (n - 1) / 2;
  let covariance = 0;
  for (let i = 1; i < n; i++) covariance += ((ranks[i] as number) - centre) * ((ranks[i - 1] as number) - centre);
  // The ranks 0 .. n - 1 have this sum of squares around their mean.
  const r = covariance / ((n * (n * n - 1)) / 12);
  if (r <= 2 / Math.sqrt(n)) return 1;
  return Math.max(1, Math.min(Math.ceil(Math.cbrt(((2 * r) / (1 - r * r)) ** 2 * n)), Math.floor(n / 4)));
}

/** Quantile (type 7) of a resample of as many values, given how often it holds each of the ascending ones. */
function quantileOfCounts(counts: Uint32Array, ascending: Float64Array, probability: number): number {
  const position = (counts.length - 1) * probability;
  const index = Math.floor(position);
  let rank = -1;
  let upTo = 0;
  while (upTo <= index) upTo += counts[++rank] as number;
  const low = ascending[rank] as number;
  if (position === index) return low;
  while (upTo <= index + 1) upTo += counts[++rank] as number;
  return low + ((ascending[rank] as number) - low) * (position - index);
}

/**
 * Quantiles of resamples of one series in time order, all from the same resamples: for each probability one estimate per
 * resample. The series has at least one value.
 */
export function resampledQuantiles(
  values: ArrayLike<number>,
  probabilities: readonly number[],
  options: BootstrapOptions,
): Float64Array[] {
  const n = values.length;
  const { seed, resamples = 10_000, blockLength: block = blockLength(values) } = options;
  const random = randomStream(seed, 'bootstrap');
  const ranks = ranksOf(values);
  const ascending = sorted(values);
  const counts = new Uint32Array(n);
  const estimates = probabilities.map(() => new Float64Array(resamples));

  for (let r = 0; r < resamples; r++) {
    // Counting how often each rank is drawn sorts the resample on the way.
    counts.fill(0);
    for (let drawn = 0; drawn < n; drawn += block) {
      const start = Math.floor((random.nextUint32() / 2 ** 32) * n);
      const end = start + Math.min(block, n - drawn);
      for (let i = start; i < end; i++) {
        const rank = ranks[i < n ? i : i - n] as number;
        counts[rank] = (counts[rank] as number) + 1;
      }
    }
    probabilities.forEach((probability, p) => {
      (estimates[p] as Float64Array)[r] = quantileOfCounts(counts, ascending, probability);
    });
  }
  return estimates;
}

/** The middle part of the estimates: the percentile interval. */
export function percentileInterval(estimates: Float64Array, confidence = 0.95): Interval {
  const ascending = sorted(estimates);
  const tail = (1 - confidence) / 2;
  return [quantileSorted(ascending, tail), quantileSorted(ascending, 1 - tail)];
}

/**
 * Intervals of several quantiles of one series in time order, all from the same resamples; `null` for each when the
 * series is too short for one (MIN_VALUES).
 */
export function quantileIntervals(
  values: ArrayLike<number>,
  probabilities: readonly number[],
  options: BootstrapOptions,
): (Interval | null)[] {
  if (values.length < MIN_VALUES) return probabilities.map(() => null);
  return resampledQuantiles(values, probabilities, options).map((estimates) =>
    percentileInterval(estimates, options.confidence),
  );
}

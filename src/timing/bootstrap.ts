/** Confidence intervals of independent values by the percentile bootstrap (Efron 1979). */
import { randomStream } from '../data/index.ts';
import { median, quantileSorted, sorted, type Interval } from './statistics.ts';

export interface BootstrapOptions {
  readonly seed: number;
  /** Default 10 000. */
  readonly resamples?: number;
}

/** Fewer values than this span no 95 % interval of a median: min to max of n covers it with 1 - 2^(1-n), 94 % for n = 5. */
export const MIN_VALUES = 6;

/** The middle 95 % of the estimates: the percentile interval. */
export function percentileInterval(estimates: Float64Array): Interval {
  const ascending = sorted(estimates);
  return [quantileSorted(ascending, 0.025), quantileSorted(ascending, 0.975)];
}

/** The interval of the median of independent values; `null` with fewer than MIN_VALUES. */
export function medianInterval(values: ArrayLike<number>, options: BootstrapOptions): Interval | null {
  const n = values.length;
  if (n < MIN_VALUES) return null;
  const { seed, resamples = 10_000 } = options;
  const random = randomStream(seed, 'bootstrap');
  const resample = new Float64Array(n);
  const medians = Float64Array.from({ length: resamples }, () => {
    for (let i = 0; i < n; i++) resample[i] = values[Math.floor((random.nextUint32() / 2 ** 32) * n)] as number;
    return median(resample);
  });
  return percentileInterval(medians);
}

/** What is reported of one subject's latency samples. */
import { joined, logInterval } from './sections.ts';
import {
  classifyOutliers,
  coefficientOfVariation,
  median,
  medianAbsoluteDeviation,
  quantile,
  quantileSorted,
  sorted,
  type Interval,
  type Outliers,
} from './statistics.ts';

/** Times in milliseconds per run. p99 is left out: it would need about 260 000 samples (MLPerf, 99 % confidence). */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  /** 95 % interval of p50; `null` with too few openings. */
  readonly ci95: Interval | null;
  /** 95 % interval of p90, narrower than that where a tenth of the runs is much slower; `null` with too few rounds. */
  readonly p90Ci95: Interval | null;
  readonly min: number;
  readonly p10: number;
  /** Median absolute deviation, unscaled. */
  readonly mad: number;
  /** Standard deviation over mean. */
  readonly cv: number;
  readonly outliers: Outliers;
}

/** The 90th percentile of fewer is their maximum, or nearly so. */
const P90_ROUNDS = 20;

/**
 * Summarises samples.
 * @param samples milliseconds per run, in time order
 * @param openings rounds of each opening
 */
export function latencyOf(samples: readonly number[], openings: readonly number[]): Latency {
  const ascending = sorted(samples);
  return {
    p50: median(samples),
    p90: quantileSorted(ascending, 0.9),
    ci95: logInterval(samples, openings, median),
    p90Ci95: logInterval(samples, joined(openings, P90_ROUNDS), (values) => quantile(values, 0.9)),
    min: quantileSorted(ascending, 0),
    p10: quantileSorted(ascending, 0.1),
    mad: medianAbsoluteDeviation(samples),
    cv: coefficientOfVariation(samples),
    outliers: classifyOutliers(samples),
  };
}

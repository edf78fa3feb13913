/** 95 % intervals over the examples of a development set. */
import { randomStream, resampledMetrics, type MetricName } from 'kdx/data';
import { percentileInterval, type Interval } from 'kdx/timing';

type Numbers = ArrayLike<number>;

/** Two-sided 95 % point of the normal distribution. */
const Z = 1.959963984540054;

/** Fewer examples than this say nothing of others. */
const MIN_EXAMPLES = 6;
const resamples = 2000;

/** Interval of a share of independent trials (Wilson 1927), which also holds near 0 and 1. */
export function wilsonInterval(successes: number, trials: number): Interval {
  const share = successes / trials;
  const scale = 1 + Z ** 2 / trials;
  const centre = share + Z ** 2 / (2 * trials);
  const spread = Z * Math.sqrt((share * (1 - share)) / trials + Z ** 2 / (4 * trials ** 2));
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)];
}

/** What one model says of each example, beside what is right. */
export interface Scored {
  readonly metric: MetricName;
  readonly answers: Numbers;
  readonly labels: Numbers;
}

/** Wilson's interval for accuracy, else the percentile bootstrap; `null` with too few examples. */
export function metricInterval({ metric, answers, labels }: Scored, seed: number): Interval | null {
  if (labels.length < MIN_EXAMPLES) return null;
  if (metric === 'accuracy') {
    const right = Array.from(labels).filter((label, i) => label === answers[i]).length;
    return wilsonInterval(right, labels.length);
  }
  const [values] = resampledMetrics(metric, [answers], labels, { seed, resamples });
  return percentileInterval(values as Float64Array);
}

/**
 * Interval of metric over metric on the same examples: percentile bootstrap of pairs; `null` with too few examples, and
 * when the lower metric is not above 0 in every resample.
 */
export function ratioInterval(
  metric: MetricName,
  over: Numbers,
  under: Numbers,
  labels: Numbers,
  seed: number,
): Interval | null {
  const ratios = labels.length < MIN_EXAMPLES ? null : metricRatios(metric, over, under, labels, seed);
  return ratios && percentileInterval(ratios);
}

/** One ratio per resample; `null` when the lower metric is not above 0 in each. */
export function metricRatios(
  metric: MetricName,
  over: Numbers,
  under: Numbers,
  labels: Numbers,
  seed: number,
): Float64Array | null {
  const [a, b] = resampledMetrics(metric, [over, under], labels, { seed, resamples }) as [Float64Array, Float64Array];
  return b.every((value) => value > 0) ? a.map((value, i) => value / (b[i] as number)) : null;
}

/** Percentile bootstrap of a mean; `null` with too few values. */
export function meanInterval(values: Float64Array, seed: number): Interval | null {
  const count = values.length;
  if (count < MIN_EXAMPLES) return null;
  const random = randomStream(seed, 'bench-examples');
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[random.int(count)] as number;
    return sum / count;
  });
  return percentileInterval(means);
}

/** Ranges of activations over the sentences of a calibration, by a method. */
import { KdxError } from 'kdx/errors';
import type { Model } from 'kdx/graph';
import type { Calibration } from '../calibration.ts';
import { entropyRange } from './entropy.ts';
import { countValues, emptyHistogram, type Histogram, type Range } from './histogram.ts';
import { leastSquaresRange } from './mean-squared-error.ts';
import { percentileRange } from './percentile.ts';

export const calibrationMethods = ['minmax', 'entropy', 'percentile', 'mse'] as const;

export interface RangeOptions {
  /** `minmax`: all values. `percentile`: all but a few. `entropy`, `mse`: what changes the values the least. */
  readonly calibration: (typeof calibrationMethods)[number];
  /** Of the values, inside the range of the method percentile. */
  readonly percentile: number;
}

export interface ActivationRange extends Range {
  /** Number of dimensions. */
  readonly rank: number;
}

/** Of a uint8 activation. */
const LEVELS = 256;
/** Eight for each level. */
const BINS = 2048;

/**
 * The range of each value, always with zero in it. Two runs over the sentences, where bins are needed.
 * @param names of float32 values of the model
 * @throws KdxError `not-finite`
 */
export async function activationRanges(
  calibration: Calibration,
  model: Model,
  names: readonly string[],
  { calibration: method, percentile }: RangeOptions,
): Promise<ReadonlyMap<string, ActivationRange>> {
  if (names.length === 0) return new Map();
  const ranges = new Map(names.map((name): [string, ActivationRange] => [name, { low: 0, high: 0, rank: 0 }]));
  await calibration.observe(model, names, (values) => {
    for (const [name, { dims, data }] of values)
      ranges.set(name, { ...widened(ranges.get(name) as Range, data, name), rank: dims.length });
  });
  if (method === 'minmax') return ranges;
  const histograms = new Map([...ranges].map(([name, range]) => [name, emptyHistogram(range, BINS)]));
  await calibration.observe(model, names, (values) => {
    for (const [name, { data }] of values) countValues(histograms.get(name) as Histogram, data);
  });
  const choose = {
    entropy: (histogram: Histogram) => entropyRange(histogram, LEVELS),
    percentile: (histogram: Histogram) => withZero(percentileRange(histogram, percentile)),
    mse: (histogram: Histogram) => leastSquaresRange(histogram, LEVELS),
  }[method];
  return new Map([...ranges].map(([name, { rank }]) => [name, { ...choose(histograms.get(name) as Histogram), rank }]));
}

function widened({ low, high }: Range, values: Float32Array, name: string): Range {
  for (const value of values) {
    if (!Number.isFinite(value))
      throw new KdxError('not-finite', `${name} is ${value} for a calibration sentence, which has no quantized form`, {
        suggestions: ['look for the step of the training in which the loss stopped being a number'],
      });
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { low, high };
}

function withZero({ low, high }: Range): Range {
  return { low: Math.min(0, low), high: Math.max(0, high) };
}

/** Descriptive statistics that outliers do not upset. Nothing is ever dropped from a sample. */
import { internal } from '../errors/index.ts';

/** A confidence interval, both ends included. */
export type Interval = readonly [low: number, high: number];

/** How many values lie outside Tukey's fences: beyond 1.5 (mild) or 3 (severe) interquartile ranges of the quartiles. */
export interface Outliers {
  readonly lowSevere: number;
  readonly lowMild: number;
  readonly highMild: number;
  readonly highSevere: number;
}

/** The values in ascending order. */
export function sorted(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values).sort();
}

/** Quantile of ascending values, by linear interpolation (type 7 of Hyndman and Fan 1996, the default of R and numpy). */
export function quantileSorted(ascending: Float64Array, probability: number): number {
  if (ascending.length === 0) throw internal('a quantile needs at least one value');
  const position = (ascending.length - 1) * probability;
  const index = Math.floor(position);
  const low = ascending[index] as number;
  const high = ascending[Math.min(index + 1, ascending.length - 1)] as number;
  return low + (high - low) * (position - index);
}

export function quantile(values: ArrayLike<number>, probability: number): number {
  return quantileSorted(sorted(values), probability);
}

export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Median absolute deviation from the median, unscaled (times 1.4826 it estimates a normal standard deviation). */
export function medianAbsoluteDeviation(values: readonly number[]): number {
  const centre = median(values);
  return median(values.map((value) => Math.abs(value - centre)));
}

/** Standard deviation (n - 1) over mean; 0 for a single value. */
export function coefficientOfVariation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance) / centre;
}

/** Counts the values outside Tukey's fences. */
export function classifyOutliers(values: readonly number[]): Outliers {
  const ascending = sorted(values);
  const first = quantileSorted(ascending, 0.25);
  const third = quantileSorted(ascending, 0.75);
  const range = third - first;
  const count = (test: (value: number) => boolean): number => values.filter(test).length;
  const lowSevere = count((value) => value < first - 3 * range);
  const highSevere = count((value) => value > third + 3 * range);
  return {
    lowSevere,
    lowMild: count((value) => value < first - 1.5 * range) - lowSevere,
    highMild: count((value) => value > third + 1.5 * range) - highSevere,
    highSevere,
  };
}

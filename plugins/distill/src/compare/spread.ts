/** Mean and spread over seeds. */

/** A confidence interval, both ends included. */
export type Interval = readonly [low: number, high: number];

export interface Spread {
  readonly mean: number;
  /** Sample standard deviation (n - 1); `null` for a single value. */
  readonly sd: number | null;
  /** In the order of the row's seeds. */
  readonly values: readonly number[];
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}

/** `null` without values. */
export function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return { mean: centre, sd: values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)), values };
}

/** Quantile of ascending values, by linear interpolation (type 7 of Hyndman and Fan 1996). */
export function quantileSorted(ascending: Float64Array, probability: number): number {
  const position = (ascending.length - 1) * probability;
  const index = Math.floor(position);
  const low = ascending[index] as number;
  const high = ascending[Math.min(index + 1, ascending.length - 1)] as number;
  return low + (high - low) * (position - index);
}

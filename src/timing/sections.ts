/**
 * What several openings tell together. Runs of one opening share its memory and its process, so they tell little of what
 * another opening would show: an interval has to come from how the openings differ.
 */
import { internal } from '../errors/index.ts';
import { studentCritical } from './student.ts';
import type { Interval } from './statistics.ts';

/** Fewer openings tell nothing of how openings differ. */
export const MIN_OPENINGS = 3;

/** A statistic of all samples, and how well it is known. */
export interface Estimate {
  readonly value: number;
  readonly standardError: number;
  readonly degreesOfFreedom: number;
}

/**
 * Sectioning (Asmussen and Glynn 2007, III.5): the statistic of all values, and its standard error from the same
 * statistic of each opening, weighted by its rounds. `null` with fewer than MIN_OPENINGS.
 * @param values one per round, in time order
 * @param openings rounds of each opening, which add up to the values
 */
export function estimate(
  values: readonly number[],
  openings: readonly number[],
  statistic: (values: readonly number[]) => number,
): Estimate | null {
  if (openings.reduce((sum, rounds) => sum + rounds, 0) !== values.length)
    throw internal(`${values.length} values are not those of openings of ${openings.join(' + ')} rounds`);
  if (openings.length < MIN_OPENINGS) return null;
  const value = statistic(values);
  const degreesOfFreedom = openings.length - 1;
  let start = 0;
  let squares = 0;
  for (const rounds of openings) {
    squares += rounds * (statistic(values.slice(start, start + rounds)) - value) ** 2;
    start += rounds;
  }
  return { value, standardError: Math.sqrt(squares / values.length / degreesOfFreedom), degreesOfFreedom };
}

/** 95 % interval by Student's t. */
export function estimateInterval({ value, standardError, degreesOfFreedom }: Estimate): Interval {
  const halfWidth = studentCritical(0.025, degreesOfFreedom) * standardError;
  return [value - halfWidth, value + halfWidth];
}

/** The 95 % interval of a statistic of logarithms, as a factor or a time. */
export function logInterval(
  values: readonly number[],
  openings: readonly number[],
  statistic: (values: readonly number[]) => number,
): Interval | null {
  const found = estimate(values.map(Math.log), openings, statistic);
  if (!found) return null;
  const [low, high] = estimateInterval(found);
  return [Math.exp(low), Math.exp(high)];
}

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
 * statistic of each opening, weighted by its rounds. `null` with fewer than MIN_OPENINGS, one that was cut short counting
 * in part.
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
  const shares = openings.map((rounds) => rounds / values.length);
  const concentration = shares.reduce((sum, share) => sum + share ** 2, 0);
  // So many equal openings would tell as much (Kish 1965); for equal ones it is their number.
  const effective = Math.round(1 / concentration);
  if (effective < MIN_OPENINGS) return null;
  const value = statistic(values);
  let start = 0;
  let variance = 0;
  openings.forEach((rounds, i) => {
    variance += (shares[i] as number) * (statistic(values.slice(start, start + rounds)) - value) ** 2;
    start += rounds;
  });
  const standardError = Math.sqrt((variance * concentration) / (1 - concentration));
  return { value, standardError, degreesOfFreedom: effective - 1 };
}

/** 95 % interval by Student's t. */
export function estimateInterval({ value, standardError, degreesOfFreedom }: Estimate): Interval {
  const halfWidth = studentCritical(0.025, degreesOfFreedom) * standardError;
  return [value - halfWidth, value + halfWidth];
}

/** Openings joined with the next ones until each has so many rounds, for a statistic that fewer do not tell. */
export function joined(openings: readonly number[], rounds: number): number[] {
  const sections: number[] = [];
  let open = 0;
  for (const own of openings) {
    open += own;
    if (open < rounds) continue;
    sections.push(open);
    open = 0;
  }
  const last = sections.pop();
  return last === undefined ? [open] : [...sections, last + open];
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

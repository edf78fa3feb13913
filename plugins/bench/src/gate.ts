/**
 * The decision of the regression gate. Each comparison asks whether a change is worse than the threshold, with a one-sided
 * p value, and all together are decided by Holm's method (1979), so that many comparisons do not
 * make a false alarm likely. With one comparison a regression is the same as a 95 % interval wholly beyond the threshold.
 */
import { estimate, estimateInterval, median, percentileInterval, studentTail, type Interval } from 'kdx/timing';
import type { GateVerdict } from './baseline-report.ts';

/** Chance of any false alarm in a run, one-sided: what a 95 % interval leaves on one side. */
const ALPHA = 0.025;

/** A change, and how well it is known. */
export interface Change {
  readonly change: number;
  readonly ci95: Interval;
  readonly p: number;
}

/** Which way a change is bad: times and sizes grow, metrics fall. */
export type Worse = 'larger' | 'smaller';

/** @param resampled changes of resamples @param failOn 0.05 for 5 % */
export function changeOf(change: number, resampled: Float64Array, worse: Worse, failOn: number): Change {
  const within = resampled.filter((value) => isWithin(value, worse, failOn)).length;
  return { change, ci95: percentileInterval(resampled), p: (1 + within) / (1 + resampled.length) };
}

/** Is the change no worse than the threshold? */
export function isWithin(change: number, worse: Worse, failOn: number): boolean {
  return worse === 'larger' ? change <= 1 + failOn : change >= 1 - failOn;
}

/** Logarithms of times, one per round, and the rounds of each opening. */
export interface Series {
  readonly logs: readonly number[];
  readonly openings: readonly number[];
}

/** Change of the median from one run to another, by Welch's (1947) t test over openings; `null` with too few of them. */
export function medianChange(before: Series, after: Series, failOn: number): Change | null {
  const earlier = estimate(before.logs, before.openings, median);
  const later = estimate(after.logs, after.openings, median);
  if (!earlier || !later) return null;
  const [a, b] = [earlier.standardError ** 2, later.standardError ** 2];
  const welch = (a + b) ** 2 / (a ** 2 / earlier.degreesOfFreedom + b ** 2 / later.degreesOfFreedom);
  const difference = {
    value: later.value - earlier.value,
    standardError: Math.sqrt(a + b),
    // Where no opening differs from another, any number does.
    degreesOfFreedom: Math.floor(welch) || 1,
  };
  const [low, high] = estimateInterval(difference);
  const beyond = difference.value - Math.log(1 + failOn);
  const p =
    beyond <= 0 && a + b === 0 ? 1 : studentTail(beyond / difference.standardError, difference.degreesOfFreedom);
  return { change: Math.exp(difference.value), ci95: [Math.exp(low), Math.exp(high)], p };
}

/** A comparison that is to be decided. */
export interface Tested {
  readonly change: Change;
  readonly worse: Worse;
}

/** `no regression` needs an interval wholly within the threshold; between the two nothing can be told. */
export function decide(tested: readonly Tested[], failOn: number): GateVerdict[] {
  const rejected = holm(tested.map(({ change }) => change.p));
  return tested.map(({ change, worse }, i) => {
    if (rejected[i]) return 'regression';
    const [low, high] = change.ci95;
    return isWithin(worse === 'larger' ? high : low, worse, failOn) ? 'no regression' : 'cannot tell';
  });
}

/** Which hypotheses are rejected: in ascending order of p, until one is above alpha over the number of those left. */
export function holm(ps: readonly number[], alpha = ALPHA): boolean[] {
  const order = ps.map((_, i) => i).sort((a, b) => (ps[a] as number) - (ps[b] as number));
  const stop = order.findIndex((index, rank) => (ps[index] as number) > alpha / (ps.length - rank));
  const rejected = new Set(stop < 0 ? order : order.slice(0, stop));
  return ps.map((_, i) => rejected.has(i));
}

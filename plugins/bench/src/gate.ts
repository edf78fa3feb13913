/**
 * The decision of the regression gate. Each comparison asks whether a change is worse than the threshold; its one-sided p
 * value comes from a bootstrap, and all together are decided by Holm's method (1979), so that many comparisons do not
 * make a false alarm likely. With one comparison a regression is the same as a 95 % interval wholly beyond the threshold.
 */
import { MIN_VALUES, percentileInterval, resampledQuantiles, median, type Interval } from 'kdx/timing';
import type { GateVerdict } from './baseline-report.ts';

/** Chance of any false alarm in a run, one-sided: what a 95 % interval leaves on one side. */
const ALPHA = 0.025;

/** A change with what resampling makes of it; worse is larger. */
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

/**
 * Change of the median of one series to that of another, both logarithms in time order; `null` with too few values. The
 * series come from different runs, so each is resampled by itself, in blocks where it is autocorrelated.
 */
export function medianChange(
  before: readonly number[],
  after: readonly number[],
  { failOn, seed }: { readonly failOn: number; readonly seed: number },
): Change | null {
  if (Math.min(before.length, after.length) < MIN_VALUES) return null;
  const resampled = (values: readonly number[], stream: number) =>
    resampledQuantiles(values, [0.5], { seed: stream })[0] as Float64Array;
  const [earlier, later] = [resampled(before, 2 * seed), resampled(after, 2 * seed + 1)];
  const changes = later.map((value, i) => Math.exp(value - (earlier[i] as number)));
  return changeOf(Math.exp(median(after) - median(before)), changes, 'larger', failOn);
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

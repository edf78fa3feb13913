/** How much faster one subject is than another, from latencies that were measured in pairs. */
import { logInterval } from './sections.ts';
import { median, type Interval } from './statistics.ts';

/** Reference time over subject time: above 1 the subject is faster. */
export interface Speedup {
  /** exp of the median of the paired log-ratios. */
  readonly ratio: number;
  /** 95 % interval over openings; `null` with too few of them. */
  readonly ci95: Interval | null;
}

export type Verdict = 'faster' | 'slower' | 'not distinguishable';

/** An effect smaller than this is noise of a shared machine, whatever its interval says (2 %). */
export const NOISE_THRESHOLD = 0.02;

/**
 * The speed-up from one pair of latencies per round, in time order and in the same unit.
 * @param openings rounds of each opening
 */
export function pairedSpeedup(
  reference: readonly number[],
  subject: readonly number[],
  openings: readonly number[],
): Speedup {
  const ratios = reference.map((time, round) => time / (subject[round] as number));
  return {
    ratio: Math.exp(median(ratios.map(Math.log))),
    ci95: logInterval(ratios, openings, median),
  };
}

/** Half the width of the interval on the log scale, which is its relative half-width; infinite without an interval. */
export function halfWidth({ ci95 }: Speedup): number {
  return ci95 ? Math.log(ci95[1] / ci95[0]) / 2 : Infinity;
}

/** Does the interval allow that nothing differs? */
export function coversOne({ ci95 }: Speedup): boolean {
  return !ci95 || (ci95[0] <= 1 && ci95[1] >= 1);
}

/** "faster" and "slower" are said only when the interval excludes 1 and the effect exceeds the noise threshold. */
export function verdict(speedup: Speedup, threshold: number = NOISE_THRESHOLD): Verdict {
  if (coversOne(speedup) || Math.abs(Math.log(speedup.ratio)) <= Math.log(1 + threshold)) return 'not distinguishable';
  return speedup.ratio > 1 ? 'faster' : 'slower';
}

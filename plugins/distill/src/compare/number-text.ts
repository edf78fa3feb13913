/** Numbers of a comparison as people read them. */
import { significant } from 'kdx/cli';
import type { Difference } from './difference.ts';
import type { Spread } from './spread.ts';

/** Metrics and their differences are shown times 100. */
export function points(value: number, decimals = 2): string {
  return (100 * value).toFixed(decimals);
}

export function signedPoints(value: number, decimals = 2): string {
  const text = points(value, decimals);
  return Number(text) > 0 ? `+${text}` : Number(text) === 0 ? points(0, decimals) : text;
}

/** `91.17 ± 0.35`, the standard deviation over seeds. */
export function spreadPoints({ mean, sd }: Spread): string {
  return sd === null ? points(mean) : `${points(mean)} ± ${points(sd)}`;
}

/** `+1.03 [0.11, 1.95]`, points and their interval. */
export function differencePoints({ estimate, ci95: [low, high] }: Difference): string {
  return `${signedPoints(estimate)} [${points(low)}, ${points(high)}]`;
}

/** A share of the training data: `100 %`, `12.5 %`, `1 %`. */
export function percentOf(fraction: number): string {
  return `${Number((100 * fraction).toPrecision(3))} %`;
}

/** `x1.25`. */
export function times(ratio: number): string {
  return `x${ratio < 10 ? ratio.toFixed(2) : significant(ratio)}`;
}

/** `12.5 s`, `3.2 min`, `1.5 h`. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${significant(seconds)} s`;
  return seconds < 7200 ? `${significant(seconds / 60)} min` : `${significant(seconds / 3600)} h`;
}

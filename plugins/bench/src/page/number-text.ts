/** Numbers of a bench report as people read them. */
import { significant } from 'kdx/cli';
import type { Interval } from 'kdx/timing';

/** `x2.01`: two decimals below 10, so that 1.02 and 1.00 stay apart. */
export function times(ratio: number): string {
  return `x${decimals(ratio)}`;
}

/** `[1.95, 2.06]`. */
export function intervalText([low, high]: Interval, format: (value: number) => string = decimals): string {
  return `[${format(low)}, ${format(high)}]`;
}

/** `1 thread`, `2 threads`. */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

/** 0.9507 gives `95.1`. */
export function percentage(fraction: number): string {
  return (100 * fraction).toFixed(1);
}

function decimals(ratio: number): string {
  return ratio < 10 ? ratio.toFixed(2) : significant(ratio);
}

/** Numbers that several plots show. */
import type { FractionReport, MethodResult } from './report.ts';

export interface MeasuredRow {
  readonly method: string;
  readonly result: MethodResult;
}

export function measuredRows({ rows }: FractionReport): MeasuredRow[] {
  return rows.flatMap(({ method, result }) => (result ? [{ method, result }] : []));
}

export function percent(value: number): number {
  return 100 * value;
}

/** Times 100. */
export function meanAndInterval({ mean, ci95: [low, high] }: MethodResult['primary']) {
  return { mean: percent(mean), low: percent(low), high: percent(high) };
}

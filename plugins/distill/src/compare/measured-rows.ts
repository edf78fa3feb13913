/** Numbers that several tables and plots show. */
import type { FractionReport, MethodResult, MethodRow } from './report.ts';

export interface MeasuredRow {
  readonly method: string;
  readonly result: MethodResult;
}

export function measuredRows({ rows }: FractionReport): MeasuredRow[] {
  return rows.flatMap(({ method, result }) => (result ? [{ method, result }] : []));
}

/** Whether the work of the processors is known of every method that has a result. */
export function knowsWork(rows: readonly MethodRow[]): boolean {
  return rows.every(({ result }) => result === null || result.training.cpuSeconds !== null);
}

export function percent(value: number): number {
  return 100 * value;
}

/** Times 100. */
export function meanAndInterval({ mean, ci95: [low, high] }: MethodResult['primary']) {
  return { mean: percent(mean), low: percent(low), high: percent(high) };
}

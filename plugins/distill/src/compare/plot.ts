/** What the plots have in common: their type, their sizes, and the numbers that several of them show. */
import type { TopLevelSpec } from 'vega-lite';
import type { FractionReport, MethodResult } from './report.ts';

/** A Vega-Lite specification, its colours being CSS variables of the page. */
export interface Plot {
  readonly title: string;
  readonly caption: string;
  /** What it shows, for those who cannot see it. */
  readonly description: string;
  readonly spec: TopLevelSpec;
}

export interface MeasuredRow {
  readonly method: string;
  readonly result: MethodResult;
}

/** Pixels; a phone shows this width without shrinking it. */
export const plotWidth = 350;

export const plotBase = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  background: 'transparent',
  autosize: { type: 'fit', contains: 'padding' },
} as const;

/** Room between the marks and the axes, in pixels. */
export const plotScale = { zero: false, nice: false, padding: 12 } as const;

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

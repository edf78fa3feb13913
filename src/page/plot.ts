/** What plots have in common: their type, their sizes, colours and shapes. */
import type { TopLevelSpec } from 'vega-lite';

export type { TopLevelSpec } from 'vega-lite';

/** A Vega-Lite specification, its colours being CSS variables of the page (`style.ts`). */
export interface Plot {
  readonly title: string;
  readonly caption: string;
  /** What it shows, for those who cannot see it. */
  readonly description: string;
  readonly spec: TopLevelSpec;
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

/** Colours that the page has. */
const seriesCount = 8;
const shapes = [
  'circle',
  'square',
  'triangle-up',
  'diamond',
  'cross',
  'triangle-down',
  'triangle-right',
  'stroke',
] as const;

/** A symbol of Vega. */
export type SeriesShape = (typeof shapes)[number];

/** One colour per series, in their order; they begin again after the eighth. */
export function seriesColors(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `var(--s${(i % seriesCount) + 1})`);
}

/** One symbol per series, so that colour is not the only difference. */
export function seriesShapes(count: number): SeriesShape[] {
  return Array.from({ length: count }, (_, i) => shapes[i % shapes.length] as SeriesShape);
}

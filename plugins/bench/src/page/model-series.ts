/** What the plots of a page share: the models as series, rows, and axes that hold a teacher and its tiny students. */
import { escapeHtml, plotScale, seriesColors, seriesShapes, type SeriesShape } from 'kdx/page';
import type { BenchReport, ModelReport } from '../report.ts';

export function modelsOf({ teacher, students }: BenchReport): ModelReport[] {
  return [teacher, ...students];
}

const colorsOf = (models: number): string[] => ['var(--ink)', ...seriesColors(models - 1)];
const shapesOf = (models: number): SeriesShape[] => ['square', ...seriesShapes(models - 1)];

/** Colour and shape of each model, the same in every plot; the teacher, who comes first, in the colour of text. */
export function modelSeries(report: BenchReport) {
  const domain = modelsOf(report).map(({ name }) => name);
  const field = { field: 'model', type: 'nominal', legend: null } as const;
  return {
    color: { ...field, scale: { domain, range: colorsOf(domain.length) } },
    shape: { ...field, scale: { domain, range: shapesOf(domain.length) } },
  } as const;
}

/** Vega's symbols in a square from -6 to 6. */
const outlines: Readonly<Record<SeriesShape, string>> = {
  circle: 'M-4.7 0a4.7 4.7 0 1 0 9.4 0a4.7 4.7 0 1 0 -9.4 0z',
  square: 'M-4.2 -4.2h8.4v8.4h-8.4z',
  'triangle-up': 'M0 -4.5L5 4.2H-5z',
  diamond: 'M0 -5.5L5.5 0L0 5.5L-5.5 0z',
  cross: 'M-1.8 -5h3.6v3.2h3.2v3.6h-3.2v3.2h-3.6v-3.2h-3.2v-3.6h3.2z',
  'triangle-down': 'M0 4.5L5 -4.2H-5z',
  'triangle-right': 'M4.5 0L-4.2 5V-5z',
  stroke: 'M-5 -1h10v2h-10z',
};

/** The legend of several plots as HTML: names have the page's width, a picture has not. */
export function seriesLegend(report: BenchReport): string {
  const models = modelsOf(report);
  const colors = colorsOf(models.length);
  const items = shapesOf(models.length).map((shape, i) => {
    const symbol = `<svg viewBox="-6 -6 12 12" aria-hidden="true"><path d="${outlines[shape]}" fill="${colors[i]}"/></svg>`;
    return `<li>${symbol}${escapeHtml(models[i]!.name)}</li>`;
  });
  return `<ul class="series">${items.join('')}</ul>`;
}

/** Pixels of a plot with a row for each name; the name stands above its marks. */
export const rowsHeight = (count: number) => 60 + 36 * count;

/** Characters; vega makes room for 9.6 pixels for each, they are about 7 wide. */
const longestLabel = 34;

/** Place of the marks in their row. */
export const rows = (names: readonly string[], field = 'model') =>
  ({ field, type: 'nominal', sort: [...names], axis: null, scale: { paddingOuter: 0.1 } }) as const;

/** The name of each row, above its marks; what is too long is left out in the middle. */
export function rowLabels(names: readonly string[], field = 'model') {
  const values = names.map((name) => ({
    [field]: name,
    label: name.length > longestLabel ? `${name.slice(0, longestLabel / 2)}…${name.slice(1 - longestLabel / 2)}` : name,
  }));
  return {
    data: { values },
    mark: { type: 'text', align: 'left', baseline: 'middle', dy: -14, fontSize: 12, color: 'var(--ink)' },
    encoding: { y: rows(names, field), x: { value: 0 }, text: { field: 'label' } },
  } as const;
}

/** Logarithmic when the values span more than a factor of four. */
export function positiveAxis(values: readonly number[], title: string) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const wide = low > 0 && high > 4 * low;
  return {
    type: 'quantitative',
    title: wide ? `${title} (log scale)` : title,
    scale: wide ? ({ type: 'log', nice: false, padding: plotScale.padding } as const) : plotScale,
    axis: {
      format: '~r',
      labelOverlap: 'greedy',
      labelSeparation: 6,
      ...(wide ? { values: ticks(low, high) } : { tickCount: 5 }),
    },
  } as const;
}

/** Round numbers in a range, the fewer the more powers of ten it spans. */
function ticks(low: number, high: number): number[] {
  const first = Math.floor(Math.log10(low));
  const count = Math.ceil(Math.log10(high)) - first;
  const steps = count <= 2 ? [1, 1.5, 2, 3, 4, 5, 7] : count <= 4 ? [1, 2, 5] : [1];
  return Array.from({ length: count + 1 }, (_, i) => 10 ** (first + i))
    .flatMap((power) => steps.map((step) => Number((step * power).toPrecision(3))))
    .filter((tick) => tick >= low && tick <= high);
}

/** Plots with a row for each method. */
import { plotBase, plotScale, plotWidth, type Plot } from 'kdx/page';
import { measuredRows, meanAndInterval, percent } from './measured-rows.ts';
import type { CompareReport, FractionReport } from './report.ts';

const methodAxis = { title: null, labelLimit: 150, labelPadding: 8, ticks: false, domain: false } as const;

/** Pixels. */
const rowsHeight = (count: number) => 50 + 26 * count;

/** Every seed as a point, mean and interval, and the teacher's value as a line. */
export function metricPlot({ task, teacher }: CompareReport, fraction: FractionReport): Plot {
  const methods = measuredRows(fraction);
  const means = methods.map(({ method, result: { primary } }) => ({
    method,
    ...meanAndInterval(primary),
  }));
  const seeds = methods.flatMap(({ method, result }) =>
    result.primary.values.map((value) => ({ method, value: percent(value) })),
  );
  const reference = percent(teacher.metrics[task.primary] as number);
  const y = { field: 'method', type: 'nominal', sort: methods.map(({ method }) => method), axis: methodAxis } as const;
  const x = (field: string) =>
    ({ field, type: 'quantitative', scale: plotScale, title: `${task.primary} x 100` }) as const;
  return {
    title: `${task.primary} by method`,
    caption: `Circles: seeds. Diamond and line: mean and 95 % interval. Dashed: teacher, ${reference.toFixed(2)}.`,
    description: means.map((row) => `${row.method} ${row.mean.toFixed(2)}`).join(', '),
    spec: {
      ...plotBase,
      width: plotWidth,
      height: rowsHeight(methods.length),
      layer: [
        {
          data: { values: [{ reference }] },
          mark: { type: 'rule', color: 'var(--muted)', strokeDash: [4, 3], strokeWidth: 1.5 },
          encoding: { x: x('reference') },
        },
        {
          data: { values: means },
          mark: { type: 'rule', color: 'var(--s1)', strokeWidth: 2.5 },
          encoding: { y, x: x('low'), x2: { field: 'high' } },
        },
        {
          data: { values: seeds },
          mark: { type: 'point', size: 38, color: 'var(--ink)', filled: false, strokeWidth: 1.2, opacity: 0.8 },
          encoding: { y, x: x('value') },
        },
        {
          data: { values: means },
          mark: { type: 'point', shape: 'diamond', size: 90, filled: true, color: 'var(--s1)', opacity: 1 },
          encoding: { y, x: x('mean') },
        },
      ],
    },
  };
}

/** `null` when no method is compared with the baseline. */
export function differencePlot(fraction: FractionReport, baseline: string): Plot | null {
  const values = measuredRows(fraction).flatMap(({ method, result }) => {
    const difference = result.versus[baseline];
    if (!difference) return [];
    const { estimate, ci95, verdict } = difference;
    return [{ method, verdict, estimate: percent(estimate), low: percent(ci95[0]), high: percent(ci95[1]) }];
  });
  if (values.length === 0) return null;
  const y = { field: 'method', type: 'nominal', sort: values.map(({ method }) => method), axis: methodAxis } as const;
  const x = (field: string) => ({ field, type: 'quantitative', scale: plotScale, title: 'points' }) as const;
  const color = {
    field: 'verdict',
    type: 'nominal',
    scale: {
      domain: ['better', 'worse', 'no difference seen at 95 %'],
      range: ['var(--better)', 'var(--worse)', 'var(--muted)'],
    },
    legend: null,
  } as const;
  return {
    title: `Difference to ${baseline}`,
    caption: 'Mean and 95 % interval, paired by dev example and seed. Right of the line is better.',
    description: values.map((row) => `${row.method} ${row.estimate.toFixed(2)}, ${row.verdict}`).join('; '),
    spec: {
      ...plotBase,
      width: plotWidth,
      height: rowsHeight(values.length),
      layer: [
        {
          data: { values: [{ zero: 0 }] },
          mark: { type: 'rule', color: 'var(--ink)', strokeWidth: 1.5 },
          encoding: { x: x('zero') },
        },
        {
          data: { values },
          mark: { type: 'rule', strokeWidth: 2.5 },
          encoding: { y, x: x('low'), x2: { field: 'high' }, color },
        },
        {
          data: { values },
          mark: { type: 'point', shape: 'diamond', size: 90, filled: true, opacity: 1 },
          encoding: { y, x: x('estimate'), color },
        },
      ],
    },
  };
}

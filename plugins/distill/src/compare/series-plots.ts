/** Plots in which each method has a colour and a shape. */
import { plotBase, plotScale, plotWidth, seriesColors, seriesShapes, type Plot, type TopLevelSpec } from 'kdx/page';
import { knowsWork, measuredRows, meanAndInterval, percent } from './measured-rows.ts';
import { percentOf } from './number-text.ts';
import type { CompareReport, FractionReport } from './report.ts';

/** Mean and interval over the share of the training data; points of one share are set apart by up to 6 %. */
export function fractionPlot({ task, fractions }: CompareReport): Plot {
  const methods = [...new Set(fractions.flatMap(({ rows }) => rows.map(({ method }) => method)))];
  const aside = (method: string) => 1.06 ** ((2 * methods.indexOf(method) + 1) / methods.length - 1);
  const values = fractions.flatMap((report) =>
    measuredRows(report).map(({ method, result: { primary } }) => ({
      method,
      x: percent(report.fraction) * aside(method),
      ...meanAndInterval(primary),
    })),
  );
  return {
    title: `${task.primary} by amount of training data`,
    caption: 'Mean and 95 % interval; the methods are set apart sideways.',
    description: `${methods.join(', ')} at ${fractions.map(({ fraction }) => percentOf(fraction)).join(', ')}`,
    spec: seriesSpec(values, methods, task.primary, {
      title: 'training data, % (log scale)',
      scale: { type: 'log', nice: false, padding: plotScale.padding },
      axis: { values: fractions.map(({ fraction }) => percent(fraction)), format: '~g' },
      line: true,
    }),
  };
}

export function costPlot({ task }: CompareReport, fraction: FractionReport): Plot {
  const measured = measuredRows(fraction);
  const clock = knowsWork(fraction.rows) ? 'CPU seconds' : 'seconds';
  const values = measured.map(({ method, result: { primary, training } }) => ({
    method,
    x: clock === 'seconds' ? training.seconds : (training.cpuSeconds as number),
    ...meanAndInterval(primary),
  }));
  return {
    title: `${task.primary} by cost of training`,
    caption: `Mean and 95 % interval over mean ${clock} of training.`,
    description: values.map((row) => `${row.method} ${row.mean.toFixed(2)} in ${row.x.toFixed(0)} s`).join(', '),
    spec: seriesSpec(
      values,
      fraction.rows.map(({ method }) => method),
      task.primary,
      {
        title: `${clock} of training`,
        scale: { ...plotScale, zero: true },
        axis: { tickCount: 5, format: '~s' },
        line: false,
      },
    ),
  };
}

interface SeriesPoint {
  readonly method: string;
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

interface HorizontalAxis {
  readonly title: string;
  readonly scale: object;
  readonly axis: object;
  readonly line: boolean;
}

/** One colour and shape per method, the same in every plot of these methods. */
function seriesSpec(values: readonly SeriesPoint[], methods: readonly string[], metric: string, axis: HorizontalAxis) {
  const x = { field: 'x', type: 'quantitative', title: axis.title, scale: axis.scale, axis: axis.axis } as const;
  const y = (field: string) => ({ field, type: 'quantitative', scale: plotScale, title: `${metric} x 100` }) as const;
  const shown = methods.filter((name) => values.some(({ method }) => method === name));
  const legend = { values: shown, title: null, orient: 'bottom', columns: 2, labelLimit: 150, symbolSize: 70 } as const;
  const domain = [...methods];
  const scale = { domain, range: seriesColors(methods.length) };
  const color = { field: 'method', type: 'nominal', scale, legend } as const;
  const shape = { ...color, scale: { domain, range: seriesShapes(methods.length) } } as const;
  return {
    ...plotBase,
    width: plotWidth,
    height: 250 + 16 * Math.ceil(shown.length / 2),
    data: { values: [...values] },
    layer: [
      ...(axis.line ? [{ mark: { type: 'line', strokeWidth: 1.2 }, encoding: { x, y: y('mean'), color } }] : []),
      { mark: { type: 'rule', strokeWidth: 1.5 }, encoding: { x, y: y('low'), y2: { field: 'high' }, color } },
      { mark: { type: 'point', filled: true, size: 70, opacity: 1 }, encoding: { x, y: y('mean'), color, shape } },
    ],
  } as TopLevelSpec;
}

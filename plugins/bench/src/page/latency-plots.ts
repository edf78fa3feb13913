/** Latencies: how they are distributed, and how much faster each student is. */
import { significant } from 'kdx/cli';
import { plotBase, plotWidth, type Plot } from 'kdx/page';
import { quantileSorted, sorted } from 'kdx/timing';
import type { Samples } from '../grid.ts';
import type { BenchReport } from '../report.ts';
import { modelSeries, positiveAxis, rowLabels, rows, rowsHeight } from './model-series.ts';
import { intervalText, times } from './number-text.ts';

interface Distribution {
  readonly model: string;
  readonly quantiles: Readonly<Record<'p10' | 'p25' | 'p50' | 'p75' | 'p90', number>>;
  readonly ascending: Float64Array;
}

function distributions(samples: readonly Samples[]): Distribution[] {
  return samples
    .filter(({ ms }) => ms.length > 0)
    .map(({ role, name, ms }) => {
      const ascending = sorted(ms);
      const at = (probability: number) => quantileSorted(ascending, probability);
      return {
        model: role === 'control' ? `${name}, again (control)` : name,
        quantiles: { p10: at(0.1), p25: at(0.25), p50: at(0.5), p75: at(0.75), p90: at(0.9) },
        ascending,
      };
    });
}

/** Quartiles and tenths of each model's samples in a row, and every sample beyond the tenths as a point. */
export function boxPlot(report: BenchReport): Plot {
  const found = distributions(report.samples);
  const names = found.map(({ model }) => model);
  const all = found.flatMap(({ ascending }) => [ascending[0]!, ascending.at(-1)!]);
  const axis = positiveAxis(all, 'ms per run');
  const x = (field: string) => ({ field, ...axis });
  const y = rows(names);
  const boxes = found.map(({ model, quantiles }) => ({ model, ...quantiles }));
  return {
    title: 'Latency of every sample',
    caption:
      'Bar: the middle half; line: tenth to ninetieth percentile; diamond: median; circles: all samples beyond the line.',
    description: boxes
      .map(({ model, p50, p90 }) => `${model} p50 ${significant(p50)}, p90 ${significant(p90)}`)
      .join('; '),
    spec: {
      ...plotBase,
      width: plotWidth,
      height: rowsHeight(names.length),
      layer: [
        rowLabels(names),
        {
          data: { values: found.flatMap(tails) },
          mark: { type: 'point', size: 14, filled: false, color: 'var(--muted)', strokeWidth: 0.8, opacity: 0.7 },
          encoding: { y, x: x('ms') },
        },
        {
          data: { values: boxes },
          mark: { type: 'rule', color: 'var(--s1)', strokeWidth: 1.5 },
          encoding: { y, x: x('p10'), x2: { field: 'p90' } },
        },
        {
          data: { values: boxes },
          mark: { type: 'rule', color: 'var(--s1)', strokeWidth: 11 },
          encoding: { y, x: x('p25'), x2: { field: 'p75' } },
        },
        {
          data: { values: boxes },
          mark: { type: 'point', shape: 'diamond', size: 40, filled: true, color: 'var(--ink)', opacity: 1 },
          encoding: { y, x: x('p50') },
        },
      ],
    },
  };
}

/** Three digits are finer than a pixel: samples that would lie on one another are drawn once. */
function tails({ model, quantiles: { p10, p90 }, ascending }: Distribution) {
  const outside = [...ascending].filter((ms) => ms < p10 || ms > p90).map((ms) => Number(ms.toPrecision(3)));
  return [...new Set(outside)].map((ms) => ({ model, ms }));
}

/** Share of the samples that took at most so long. */
export function cumulativePlot(report: BenchReport): Plot {
  const found = distributions(report.samples.filter(({ role }) => role !== 'control'));
  const values = found.flatMap(({ model, ascending }) =>
    Array.from({ length: 101 }, (_, share) => ({ model, share, ms: quantileSorted(ascending, share / 100) })),
  );
  const axis = positiveAxis(
    values.map(({ ms }) => ms),
    'ms per run',
  );
  return {
    title: 'Share of the samples within a time',
    caption: 'The steeper, the steadier; the median is at 50 %.',
    description: found
      .map(({ model, quantiles }) => `${model}: half within ${significant(quantiles.p50)} ms`)
      .join('; '),
    spec: {
      ...plotBase,
      width: plotWidth,
      height: 250,
      data: { values },
      mark: { type: 'line', strokeWidth: 1.8 },
      encoding: {
        x: { field: 'ms', ...axis },
        y: { field: 'share', type: 'quantitative', title: '% of the samples', scale: { domain: [0, 100] } },
        color: modelSeries(report).color,
        order: { field: 'share', type: 'quantitative' },
      },
    },
  };
}

/** Speed-up of each student with its interval; `null` when none can be told. */
export function speedPlot({ students }: BenchReport): Plot | null {
  const values = students.flatMap(({ name, speedup: { ratio, ci95, verdict } }) =>
    ci95 && verdict !== 'invalid run' ? [{ model: name, ratio, low: ci95[0], high: ci95[1], verdict }] : [],
  );
  if (values.length === 0) return null;
  const ends = [1, ...values.flatMap(({ low, high }) => [low, high])];
  const axis = positiveAxis(ends, 'times as fast');
  const x = (field: string) => ({ field, ...axis });
  const names = values.map(({ model }) => model);
  const y = rows(names);
  const color = {
    field: 'verdict',
    type: 'nominal',
    scale: {
      domain: ['faster', 'slower', 'not distinguishable'],
      range: ['var(--better)', 'var(--worse)', 'var(--muted)'],
    },
    legend: null,
  } as const;
  return {
    title: 'Speed-up over the teacher',
    caption:
      'Median of the ratios of each round and its 95 % interval, over several openings. Right of the dashed line is faster.',
    description: values
      .map(
        ({ model, ratio, low, high, verdict }) => `${model} ${times(ratio)} ${intervalText([low, high])}, ${verdict}`,
      )
      .join('; '),
    spec: {
      ...plotBase,
      width: plotWidth,
      height: rowsHeight(values.length),
      layer: [
        rowLabels(names),
        {
          data: { values: [{ one: 1 }] },
          mark: { type: 'rule', color: 'var(--muted)', strokeDash: [4, 3], strokeWidth: 1.5 },
          encoding: { x: x('one') },
        },
        {
          data: { values },
          mark: { type: 'rule', strokeWidth: 2.5 },
          encoding: { y, x: x('low'), x2: { field: 'high' }, color },
        },
        {
          data: { values },
          mark: { type: 'point', shape: 'diamond', size: 90, filled: true, opacity: 1 },
          encoding: { y, x: x('ratio'), color },
        },
      ],
    },
  };
}

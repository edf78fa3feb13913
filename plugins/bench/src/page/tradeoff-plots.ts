/** Quality against what it costs, with the models that no other one beats in both. */
import { plotBase, plotScale, plotWidth, type Plot } from 'kdx/page';
import type { BenchReport, ModelReport } from '../report.ts';
import { modelSeries, modelsOf, positiveAxis } from './model-series.ts';
import { paretoFront } from './pareto.ts';

/** Against size and against latency; empty unless two models have a metric. */
export function tradeoffPlots(report: BenchReport): Plot[] {
  return [
    tradeoffPlot(report, 'file size', 'MB', ({ bytes }) => bytes / 1e6),
    tradeoffPlot(report, 'latency', 'median ms per run', ({ latencyMs }) => latencyMs.p50),
  ].flatMap((plot) => plot ?? []);
}

function tradeoffPlot(
  report: BenchReport,
  against: string,
  unit: string,
  costOf: (model: ModelReport) => number,
): Plot | null {
  const values = modelsOf(report).flatMap((model) => {
    const { name, metric } = model;
    if (!metric) return [];
    const [low, high] = metric.ci95 ?? [metric.value, metric.value];
    return [{ model: name, quality: metric.value, cost: costOf(model), low, high }];
  });
  if (values.length < 2) return null;
  const metric = report.teacher.metric?.name ?? 'metric';
  const front = paretoFront(values);
  const { color, shape } = modelSeries(report);
  const axis = positiveAxis(
    values.map(({ cost }) => cost),
    unit,
  );
  const x = { field: 'cost', ...axis };
  const y = (field: string) => ({ field, type: 'quantitative', scale: plotScale, title: metric }) as const;
  const listed = front.map(({ model }) => model).join(', ');
  return {
    title: `${metric} against ${against}`,
    caption:
      `Top left is best. Dashed: the Pareto front, ${listed}; ringed models are on it.` +
      (values.some(({ low, high }) => low < high) ? ' Lines: 95 % interval.' : ''),
    description: `on the front: ${listed}`,
    spec: {
      ...plotBase,
      width: plotWidth,
      height: 250,
      layer: [
        {
          data: { values: front },
          mark: {
            type: 'line',
            interpolate: 'step-after',
            color: 'var(--muted)',
            strokeDash: [4, 3],
            strokeWidth: 1.5,
          },
          encoding: { x, y: y('quality') },
        },
        {
          data: { values: front },
          mark: {
            type: 'point',
            shape: 'circle',
            size: 260,
            filled: false,
            color: 'var(--ink)',
            strokeWidth: 1.2,
            opacity: 1,
          },
          encoding: { x, y: y('quality') },
        },
        {
          data: { values },
          mark: { type: 'rule', strokeWidth: 1.5 },
          encoding: { x, y: y('low'), y2: { field: 'high' }, color },
        },
        {
          data: { values },
          mark: { type: 'point', filled: true, size: 70, opacity: 1 },
          encoding: { x, y: y('quality'), color, shape },
        },
      ],
    },
  };
}

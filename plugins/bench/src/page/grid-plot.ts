/** Latency of each model in each combination of the grid. */
import { plotBase, plotWidth, type Plot } from 'kdx/page';
import type { BenchReport } from '../report.ts';
import { combinationText } from './grid-table.ts';
import { modelSeries, modelsOf, positiveAxis, rowLabels, rows, rowsHeight } from './model-series.ts';

/** `null` without a grid of two combinations or more. */
export function gridPlot(report: BenchReport): Plot | null {
  const { grid } = report;
  if (grid.length < 2) return null;
  const names = modelsOf(report).map(({ name }) => name);
  const combinations = grid.map(combinationText);
  const values = grid.flatMap((cell, i) =>
    cell.models.map(({ name, latencyMs: { p50, ci95 } }) => {
      const [low, high] = ci95 ?? [p50, p50];
      return { combination: combinations[i], model: name, p50, low, high };
    }),
  );
  const axis = positiveAxis(
    values.map(({ p50 }) => p50),
    'median ms per run',
  );
  const { color, shape } = modelSeries(report);
  const y = rows(combinations, 'combination');
  return {
    title: 'Median latency by combination',
    caption: 'Batch x length; a run is one batch. Lines: 95 % interval, mostly smaller than the marks.',
    description: `${names.join(', ')} at ${combinations.join('; ')}`,
    spec: {
      ...plotBase,
      width: plotWidth,
      height: rowsHeight(grid.length),
      data: { values },
      layer: [
        rowLabels(combinations, 'combination'),
        {
          mark: { type: 'rule', strokeWidth: 1.5 },
          encoding: { y, x: { field: 'low', ...axis }, x2: { field: 'high' }, color },
        },
        {
          mark: { type: 'point', filled: true, size: 60, opacity: 1 },
          encoding: { y, x: { field: 'p50', ...axis }, color, shape },
        },
      ],
    },
  };
}

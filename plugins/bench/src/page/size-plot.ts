/** File sizes by what is in them. */
import { formatBytes } from 'kdx/cli';
import { plotBase, plotWidth, type Plot } from 'kdx/page';
import type { BenchReport, ModelReport } from '../report.ts';
import { modelsOf, rowLabels, rows, rowsHeight } from './model-series.ts';

const parts = ['embeddings', 'encoder', 'head', 'other'];
const rest = 'graph';
const whole = 'file';
const colors = ['var(--s1)', 'var(--s2)', 'var(--s3)', 'var(--s4)', 'var(--muted)', 'var(--s1)'];

/** A stacked bar for each model; the whole file in one where its parts are not known. */
export function sizePlot(report: BenchReport): Plot {
  const models = modelsOf(report);
  const values = models.flatMap((model) => partsOf(model).map((part) => ({ model: model.name, ...part })));
  const compressed = models.flatMap(({ name, compressedBytes }) =>
    typeof compressedBytes === 'number' ? [{ model: name, megabytes: compressedBytes / 1e6 }] : [],
  );
  const order = [...parts, rest, whole];
  const shown = order.filter((name) => values.some(({ part }) => part === name));
  const names = models.map(({ name }) => name);
  const y = rows(names);
  const title = 'MB';
  return {
    title: 'Size by part of the model',
    caption:
      'Stored weights by part; a shared layer is stored once.' +
      (compressed.length > 0 ? ' Line: the file after compression.' : ''),
    description: models.map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`).join(', '),
    spec: {
      ...plotBase,
      width: plotWidth,
      height: rowsHeight(models.length) + 44,
      layer: [
        rowLabels(names),
        {
          data: { values },
          mark: { type: 'bar', height: 14 },
          encoding: {
            y,
            x: { field: 'megabytes', type: 'quantitative', stack: 'zero', title, axis: { tickCount: 5, format: '~r' } },
            color: {
              field: 'part',
              type: 'nominal',
              scale: { domain: order, range: colors },
              legend: { values: shown, title: null, orient: 'bottom', columns: 4, symbolSize: 70 },
            },
            order: { field: 'rank', type: 'quantitative' },
          },
        },
        {
          data: { values: compressed },
          mark: { type: 'tick', color: 'var(--ink)', thickness: 2.5, height: 20 },
          encoding: { y, x: { field: 'megabytes', type: 'quantitative', title } },
        },
      ],
    },
  };
}

function partsOf({ bytes, groups }: ModelReport) {
  const known = groups?.filter((group) => parts.includes(group.name)) ?? [];
  if (known.length === 0) return [{ part: whole, rank: 0, megabytes: bytes / 1e6 }];
  const left = bytes - known.reduce((sum, group) => sum + group.bytes, 0);
  return [...known, { name: rest, bytes: Math.max(0, left) }].map((group) => ({
    part: group.name,
    rank: [...parts, rest].indexOf(group.name),
    megabytes: group.bytes / 1e6,
  }));
}

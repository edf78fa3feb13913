/** The table of all models, and that of their start-up. */
import { formatBytes, formatCount, formatMilliseconds, formatPercent, significant } from 'kdx/cli';
import type { ReportTable, TableCell } from 'kdx/page';
import type { Interval } from 'kdx/timing';
import type { SpeedupReport } from '../grid.ts';
import type { BenchReport, ModelReport, StudentReport } from '../report.ts';
import { intervalText, percentage, times } from './number-text.ts';

type AnyModel = ModelReport & Partial<StudentReport>;

interface Column {
  readonly title: string;
  /** @param path of the model in the report */
  readonly cell: (model: AnyModel, path: string) => TableCell;
}

const unknown: TableCell = { text: '-' };

/** Size and quality, then speed, start-up and memory; the teacher first. Columns of which nothing is known are left out. */
export function modelTables(report: BenchReport): ReportTable[] {
  return [
    tableOf(report, 'Size and quality', [
      number('params', 'parameters', formatCount),
      number('FLOPs', 'flops', formatCount),
      number('file', 'bytes', formatBytes),
      number('compressed', 'compressedBytes', formatBytes),
      {
        title: report.teacher.metric?.name ?? 'metric',
        cell: ({ metric }, path) => valueCell(metric?.value, `${path}.metric.value`, decimal, metric?.ci95),
      },
      {
        title: 'retained',
        cell: ({ retention, retentionCi95 }, path) => percentCell(retention, `${path}.retention`, retentionCi95),
      },
      {
        title: 'agreement',
        cell: ({ agreement, agreementCi95 }, path) => percentCell(agreement, `${path}.agreement`, agreementCi95),
      },
      number('KL', 'klDivergence', decimal, 'klCi95'),
    ]),
    tableOf(report, 'Speed, start-up and memory', [
      {
        title: 'p50 ms',
        cell: ({ latencyMs: { p50, ci95 } }, path) => valueCell(p50, `${path}.latencyMs.p50`, significant, ci95),
      },
      {
        title: 'p90 ms',
        cell: ({ latencyMs: { p90, p90Ci95 } }, path) => valueCell(p90, `${path}.latencyMs.p90`, significant, p90Ci95),
      },
      { title: 'speed', cell: ({ speedup }, path) => speedCell(speedup, path) },
      number('per second', 'throughput', significant),
      number('cold start', 'coldStartMs', formatMilliseconds, 'coldStartCi95'),
      number('peak memory', 'peakRssBytes', formatBytes, 'peakRssCi95'),
    ]),
  ];
}

const decimal = (value: number) => value.toFixed(4);

/** Where the time until the first answer goes, and the memory at each point; without rows when not measured. */
export function startTable(report: BenchReport): ReportTable {
  const phase = (title: string, name: keyof NonNullable<AnyModel['coldStartPhasesMs']>): Column => ({
    title,
    cell: ({ coldStartPhasesMs: phases }, path) =>
      valueCell(phases?.[name], `${path}.coldStartPhasesMs.${name}`, formatMilliseconds),
  });
  const memory = (title: string, name: keyof NonNullable<AnyModel['memoryBytes']>): Column => ({
    title,
    cell: ({ memoryBytes }, path) => valueCell(memoryBytes?.[name], `${path}.memoryBytes.${name}`, formatBytes),
  });
  return tableOf(report, 'Start-up and memory', [
    phase('process', 'processStart'),
    phase('modules', 'moduleLoad'),
    phase('read file', 'read'),
    phase('create session', 'sessionCreate'),
    phase('first run', 'firstRun'),
    memory('memory before', 'baseline'),
    memory('with session', 'afterCreate'),
    memory('after first run', 'afterFirstRun'),
    memory('peak', 'peak'),
  ]);
}

function tableOf({ teacher, students }: BenchReport, title: string, columns: readonly Column[]): ReportTable {
  const models: readonly AnyModel[] = [teacher, ...students];
  const cells = models.map((model, i) => {
    const path = i === 0 ? 'teacher' : `students.${i - 1}`;
    return columns.map(({ cell }) => cell(model, path));
  });
  const known = columns.map((_, j) => cells.some((row) => row[j]!.path !== undefined));
  if (!known.includes(true)) return { title, columns: [], rows: [] };
  return {
    title,
    columns: ['model', ...columns.filter((_, j) => known[j]).map((column) => column.title)],
    rows: cells.map((row, i) => [{ text: models[i]!.name }, ...row.filter((_, j) => known[j])]),
  };
}

/** The fields of a model that hold a `T`. */
type FieldOf<T> = { [K in keyof AnyModel]-?: NonNullable<AnyModel[K]> extends T ? K : never }[keyof AnyModel];

function number(
  title: string,
  field: FieldOf<number>,
  format: (value: number) => string,
  interval?: FieldOf<Interval>,
): Column {
  return {
    title,
    cell: (model, path) => valueCell(model[field], `${path}.${field}`, format, interval && model[interval]),
  };
}

export function valueCell(
  value: number | null | undefined,
  path: string,
  format: (value: number) => string,
  interval?: Interval | null,
): TableCell {
  if (value === null || value === undefined) return unknown;
  return { text: format(value), path, ...(interval && { note: intervalText(interval, format) }) };
}

function percentCell(value: number | null | undefined, path: string, interval?: Interval | null): TableCell {
  const cell = valueCell(value, path, formatPercent);
  return interval ? { ...cell, note: intervalText(interval, percentage) } : cell;
}

/** An invalid run, or one too short for an interval, has no ratio to show. */
export function speedCell(speedup: SpeedupReport | undefined, path: string): TableCell {
  if (!speedup?.ci95 || speedup.verdict === 'invalid run') return unknown;
  const { ratio, ci95, verdict } = speedup;
  const mark = verdict === 'faster' ? 'better' : verdict === 'slower' ? 'worse' : undefined;
  return { text: times(ratio), path: `${path}.speedup.ratio`, note: intervalText(ci95), ...(mark && { mark }) };
}

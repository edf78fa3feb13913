/** The combinations of device, batch, length and threads: a row each, a column for each model. */
import { significant } from 'kdx/cli';
import type { ReportTable, TableCell } from 'kdx/page';
import { isGpu, type GridCell, type GridModel, type SpeedupReport } from '../grid.ts';
import type { BenchReport } from '../report.ts';
import { counted, intervalText, times } from './number-text.ts';

/** Median latency with the speed-up, and throughput; empty without a grid of two combinations or more. */
export function gridTables({ grid, teacher, students }: BenchReport): ReportTable[] {
  if (grid.length < 2) return [];
  const names = [teacher, ...students].map(({ name }) => name);
  const table = (title: string, cell: (model: GridModel, path: string) => TableCell) => ({
    title,
    columns: ['batch x length', ...names],
    rows: grid.map((point, i) => [
      { text: combinationText(point) },
      ...names.map((name) => {
        const j = point.models.findIndex((model) => model.name === name);
        return j < 0 ? { text: '-' } : cell(point.models[j]!, `grid.${i}.models.${j}`);
      }),
    ]),
  });
  return [
    table('Median latency, ms', ({ latencyMs, speedup }, path) => ({
      text: significant(latencyMs.p50),
      path: `${path}.latencyMs.p50`,
      ...speedupNote(speedup),
    })),
    table('Sequences per second', ({ throughput }, path) => ({
      text: significant(throughput),
      path: `${path}.throughput`,
    })),
  ];
}

/** The ratio of a valid combination and its interval. */
function speedupNote(speedup: SpeedupReport | undefined): Pick<TableCell, 'note' | 'mark'> {
  if (!speedup?.ci95 || speedup.verdict === 'invalid run') return {};
  const { ratio, ci95, verdict } = speedup;
  return {
    note: `${times(ratio)} ${intervalText(ci95)}`,
    ...(verdict !== 'not distinguishable' && { mark: verdict === 'faster' ? 'better' : 'worse' }),
  };
}

/** `32 x 128, 2 threads`; on a GPU with its name. */
export function combinationText({ scenario: { device, batch, length, threads }, control }: GridCell): string {
  const gpu = isGpu(device) ? `, ${device}` : '';
  return `${batch} x ${length}, ${counted(threads, 'thread')}${gpu}${control.valid ? '' : ' (invalid)'}`;
}

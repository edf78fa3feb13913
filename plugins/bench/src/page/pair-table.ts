/** Every two models against each other. */
import type { ReportTable } from 'kdx/page';
import type { BenchReport } from '../report.ts';
import { intervalText, times } from './number-text.ts';

/** How many times as fast as the model of the row that of the column is; without rows in an invalid run. */
export function pairTable({ grid, control, teacher, students }: BenchReport): ReportTable {
  const title = 'Every two models: how many times as fast the column is';
  const pairs = grid[0]?.pairs ?? [];
  const names = [teacher, ...students].map(({ name }) => name);
  if (pairs.length < 2 || !control.valid) return { title, columns: [], rows: [] };
  return {
    title,
    columns: ['', ...names.slice(1)],
    rows: names.slice(0, -1).map((a) => [
      { text: a },
      ...names.slice(1).map((b) => {
        const i = pairs.findIndex((pair) => pair.a === a && pair.b === b);
        const pair = pairs[i];
        if (!pair?.ci95) return { text: '-' };
        return { text: times(pair.ratio), path: `grid.0.pairs.${i}.ratio`, note: intervalText(pair.ci95) };
      }),
    ]),
  };
}

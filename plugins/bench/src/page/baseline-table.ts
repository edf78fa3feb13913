/** The comparison with an earlier run. */
import { formatBytes, formatMilliseconds, significant } from 'kdx/cli';
import type { ReportTable } from 'kdx/page';
import type { BaselineComparison, GateMethod } from '../baseline-report.ts';
import type { BenchReport } from '../report.ts';
import { combinationText } from './grid-table.ts';
import { intervalText, times } from './number-text.ts';

const formats: Readonly<Record<GateMethod, (value: number) => string>> = {
  'time relative to the teacher': (value) => `${significant(value)} of the teacher`,
  time: formatMilliseconds,
  size: formatBytes,
  'same examples': (value) => value.toFixed(4),
};

/** A row for each comparison; without rows when there is no baseline. */
export function baselineTable({ baseline, grid }: BenchReport): ReportTable {
  const comparisons = baseline?.comparisons ?? [];
  return {
    title: 'Against the baseline',
    columns: ['what', 'before', 'now', 'change', 'verdict'],
    rows: comparisons.map((comparison, i) => {
      const { before, after, change, ci95, method, verdict, reason } = comparison;
      const path = `baseline.comparisons.${i}`;
      const format = formats[method];
      return [
        { text: comparedText(comparison, grid) },
        { text: format(before), path: `${path}.before` },
        { text: format(after), path: `${path}.after` },
        change === null
          ? { text: '-' }
          : { text: times(change), path: `${path}.change`, ...(ci95 && { note: intervalText(ci95) }) },
        {
          text: verdict,
          ...(reason !== null && { note: reason }),
          ...(verdict === 'regression' && { note: reason ?? 'worse than allowed', mark: 'worse' as const }),
        },
      ];
    }),
  };
}

function comparedText({ name, measure, cell }: BaselineComparison, grid: BenchReport['grid']): string {
  const found = cell === null || grid.length < 2 ? undefined : grid[cell];
  return `${name}, ${measure}${found ? `, ${combinationText(found)}` : ''}`;
}

/** The verdict, then each comparison that is not fine, then what is doubtful; empty without a baseline. */
export function baselineNotes({ baseline, grid }: BenchReport): string[] {
  if (!baseline) return [];
  const { file, failOn, comparisons, warnings, verdict } = baseline;
  return [
    `against ${file}, at most ${significant(100 * failOn)} % worse: ${verdict}`,
    ...comparisons.flatMap((comparison) => {
      const { verdict: found, change, ci95, reason } = comparison;
      if (found === 'no regression') return [];
      const amount = change === null ? '' : ` ${times(change)}${ci95 ? ` ${intervalText(ci95)}` : ''}`;
      return [`${comparedText(comparison, grid)}: ${found}${amount}${reason === null ? '' : ` (${reason})`}`];
    }),
    ...warnings.map((warning) => `baseline: ${warning}`),
  ];
}

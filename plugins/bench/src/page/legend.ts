/** What the columns of the model tables mean, for those that are there. */
import type { BenchReport } from '../report.ts';
import { modelTables } from './model-table.ts';

const meanings: Readonly<Record<string, string>> = {
  params: 'stored scalars; a shared layer counts once',
  FLOPs: 'operations of one sequence, a multiply-add counting 2',
  compressed: 'the file after gzip, about what a download takes',
  'p50 ms': 'median time of a run of one batch, and its 95 % interval',
  'p90 ms': 'time within which nine of ten runs end, and its 95 % interval',
  speed: 'teacher time over student time, paired by round; green or red where it is told from 1 and above 2 %',
  'per second': 'sequences at the median latency, one run after the other',
  'cold start': 'a fresh process up to its first answer, the median of several',
  'peak memory': 'highest resident memory of such a process, Node included',
  retained: "student's metric over the teacher's",
  agreement: 'share of the examples on which the student answers as the teacher',
  KL: 'mean divergence of the student from the teacher, in nats',
};

/** `p50 ms: median time of ...`. */
export function legend(report: BenchReport): string[] {
  const columns = modelTables(report).flatMap((table) => table.columns);
  return columns.flatMap((column) => {
    const meaning = meanings[column];
    return meaning === undefined ? [] : [`${column}: ${meaning}`];
  });
}

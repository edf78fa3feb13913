/** The result of a training for people. */
import { formatCount, formatPercent } from 'kdx/cli';
import { formatDuration } from 'kdx/progress';
import type { TrainingResult } from '../run.ts';

/** @param next commands that may follow */
export function renderTraining(result: TrainingResult, next: readonly string[]): string {
  const metrics = Object.entries(result.metrics).map(([name, value]) => `${name} ${formatPercent(value)}`);
  const measured = metrics.length > 0 ? `, ${result.task} ${metrics.join(', ')}` : '';
  const skipped = result.stages.reduce((sum, stage) => sum + (stage.skipped ?? 0), 0);
  const best = metrics.length > 0 ? `best at step ${result.bestStep} of ${result.steps}` : `${result.steps} steps`;
  return [
    `${result.out}: ${formatCount(result.parameters)} parameters${measured}`,
    `${best}, ${formatDuration(result.seconds * 1000)} on ${result.device}`,
    ...(skipped > 0 ? [`steps left out because gradients overflowed float16: ${skipped}`] : []),
    ...next.map((command) => `next: ${command}`),
  ].join('\n');
}

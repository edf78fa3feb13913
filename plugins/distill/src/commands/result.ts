/** The result of a training for people. */
import { formatCount, formatPercent } from 'kdx/cli';
import { formatDuration } from 'kdx/progress';
import type { TrainingResult } from '../classifier-training.ts';

/** @param next commands that may follow */
export function renderTraining(result: TrainingResult, next: readonly string[]): string {
  const metrics = Object.entries(result.metrics).map(([name, value]) => `${name} ${formatPercent(value)}`);
  return [
    `${result.out}: ${formatCount(result.parameters)} parameters, ${result.task} ${metrics.join(', ')}`,
    `best at step ${result.bestStep} of ${result.steps}, ${formatDuration(result.seconds * 1000)} on ${result.device}`,
    ...next.map((command) => `next: ${command}`),
  ].join('\n');
}

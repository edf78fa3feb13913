/** From logits to the metrics of a task. */
import { internal, KdxError } from '../errors/index.ts';
import { metrics, type MetricName } from './metrics.ts';
import type { Task } from './tasks.ts';

export interface Score {
  /** Every metric of the task, in its order. */
  readonly metrics: Readonly<Partial<Record<MetricName, number>>>;
  /** The task's primary metric. */
  readonly primary: number;
}

/** Index of the largest logit of each row of [rows, classes]; the lowest index among equals. */
export function argmaxRows(logits: Float32Array, classes: number): Int32Array {
  const rows = Int32Array.from({ length: logits.length / classes }, () => 0);
  for (let row = 0; row < rows.length; row++) {
    let best = row * classes;
    for (let i = best + 1; i < (row + 1) * classes; i++) if ((logits[i] as number) > (logits[best] as number)) best = i;
    rows[row] = best - row * classes;
  }
  return rows;
}

/**
 * Scores logits of shape [examples, task.outputs] against label ids or, for regression, values.
 * @throws KdxError `invalid-logits` when a logit is NaN or infinite
 */
export function scoreTask(task: Task, logits: Float32Array, labels: ArrayLike<number>): Score {
  if (logits.length !== labels.length * task.outputs)
    throw internal(`${logits.length} logits for ${labels.length} examples of ${task.outputs} outputs`);
  const bad = logits.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    const example = Math.floor(bad / task.outputs);
    throw new KdxError('invalid-logits', `the model gives ${logits[bad]} for example ${example}: nothing to score`, {
      exitCode: 1,
    });
  }
  const predictions = task.kind === 'regression' ? logits : argmaxRows(logits, task.outputs);
  const values = task.metrics.map((name) => [name, metrics[name](predictions, labels)] as const);
  return { metrics: Object.fromEntries(values), primary: metrics[task.primary](predictions, labels) };
}

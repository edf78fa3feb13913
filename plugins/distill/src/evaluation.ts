/** Metrics of a classifier on a development set. */
import { openClassifier, openSource, scoreClassifier } from 'kdx/classifier';
import type { TaskData } from 'kdx/data';
import type { Surroundings } from './stage.ts';

export interface EvaluationOptions extends Surroundings {
  readonly model: string;
  readonly data: TaskData;
  /** Default 128, or what the model takes if that is less. */
  readonly maxLength?: number;
}

export interface Evaluation {
  readonly model: string;
  readonly task: string;
  readonly examples: number;
  readonly primary: string;
  readonly metrics: Readonly<Record<string, number>>;
}

/** @throws KdxError `label-mismatch` and those of opening the model */
export async function evaluate({
  model,
  data,
  engine,
  progress,
  signal,
  maxLength,
}: EvaluationOptions): Promise<Evaluation> {
  const classifier = await openClassifier(await openSource(model), engine);
  try {
    const limits = maxLength === undefined ? {} : { maxLength };
    const { metrics } = await scoreClassifier(classifier, data.task, data.dev, { progress, signal, ...limits });
    const { name: task, primary } = data.task;
    return { model, task, examples: data.dev.length, primary, metrics };
  } finally {
    await classifier.release();
  }
}

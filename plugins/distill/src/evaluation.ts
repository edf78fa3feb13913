/** Metrics of a classifier on a development set. */
import { openClassifier, openSource, scoreClassifier, tunedOptions } from 'kdx/classifier';
import type { TaskData } from 'kdx/data';
import type { Surroundings } from './stage.ts';

export interface EvaluationOptions extends Surroundings {
  readonly model: string;
  readonly data: TaskData;
  /** Default 128, or what the model takes if that is less. */
  readonly maxLength?: number;
  /** As the user asked: it goes before a tuned number. */
  readonly threads?: number | undefined;
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
  threads,
}: EvaluationOptions): Promise<Evaluation> {
  const source = await openSource(model);
  const classifier = await openClassifier(source, engine, await tunedOptions(source, engine, threads));
  try {
    const limits = maxLength === undefined ? {} : { maxLength };
    const { metrics } = await scoreClassifier(classifier, data.task, data.dev, { progress, signal, ...limits });
    const { name: task, primary } = data.task;
    return { model, task, examples: data.dev.length, primary, metrics };
  } finally {
    await classifier.release();
  }
}

/** Metrics of a classifier on a development set. */
import { openClassifier, openSource } from 'kdx/classifier';
import { encodeExamples, scoreTask, type TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import type { Surroundings } from './classifier-training.ts';

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

const DEFAULT_LENGTH = 128;

/** @throws KdxError `label-mismatch` and those of opening the model */
export async function evaluate({
  model,
  data,
  engine,
  progress,
  signal,
  ...options
}: EvaluationOptions): Promise<Evaluation> {
  const source = await openSource(model);
  const { labels, maxPositions } = source.config;
  const { task } = data;
  if (labels.length !== task.outputs)
    throw new KdxError('label-mismatch', `${model} has ${labels.length} labels, ${task.name} has ${task.outputs}`, {
      suggestions: ['evaluate it on the task that it was trained for'],
    });
  const maxLength = options.maxLength ?? Math.min(DEFAULT_LENGTH, maxPositions);
  const classifier = await openClassifier(source, engine);
  try {
    const examples = encodeExamples(source.tokenizer, data.dev, maxLength);
    const logits = await classifier.logits(examples, { maxLength, progress, signal });
    const { metrics } = scoreTask(task, logits.data, examples.labels);
    return { model, task: task.name, examples: examples.count, primary: task.primary, metrics };
  } finally {
    await classifier.release();
  }
}

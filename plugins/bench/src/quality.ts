/** The task metric of each model, and how often each student answers as the teacher. */
import { evaluationLength, openClassifier } from 'kdx/classifier';
import { argmaxRows, encodeExamples, scoreTask, type TaskData } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import type { Progress } from 'kdx/progress';
import type { BenchModel } from './bench-model.ts';
import type { Metric } from './report.ts';

export interface Quality {
  readonly metric: Metric;
  /** Class of each example; undefined for regression. */
  readonly answers: Int32Array | undefined;
}

export interface QualityOptions {
  readonly data: TaskData;
  readonly engine: Engine;
  /** Longer examples are cut to so many tokens; default 128, or what a model takes if that is less. */
  readonly maxLength: number | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs each model's file over the development set, on all the engine's threads. When interrupted, the models that are
 * done are returned.
 * @throws KdxError `invalid-logits`
 */
export async function modelQuality(
  models: readonly BenchModel[],
  options: QualityOptions,
): Promise<Map<string, Quality>> {
  const results = new Map<string, Quality>();
  for (const model of models) {
    if (options.signal?.aborted) break;
    try {
      results.set(model.facts.name, await qualityOf(model, options));
    } catch (error) {
      if (!options.signal?.aborted) throw error;
      options.progress.end();
    }
  }
  return results;
}

async function qualityOf({ facts, source }: BenchModel, options: QualityOptions): Promise<Quality> {
  const { data, engine, progress, signal } = options;
  const { task } = data;
  const classifier = await openClassifier(source, engine);
  try {
    const maxLength = options.maxLength ?? Math.min(evaluationLength, classifier.maxLength);
    const examples = encodeExamples(source.tokenizer, data.dev, maxLength);
    const label = `evaluate ${facts.name}`;
    const logits = await classifier.logits(examples, { maxLength, progress, label, ...(signal && { signal }) });
    const { primary } = scoreTask(task, logits.data, examples.labels);
    return {
      metric: { name: task.primary, value: primary },
      answers: task.kind === 'regression' ? undefined : argmaxRows(logits.data, task.outputs),
    };
  } finally {
    await classifier.release();
  }
}

/** Fraction of the examples with the same answer; `null` for regression and without both. */
export function agreement(teacher: Quality | undefined, student: Quality | undefined): number | null {
  const [a, b] = [teacher?.answers, student?.answers];
  if (!a || !b) return null;
  return a.reduce((count, answer, i) => (answer === b[i] ? count + 1 : count), 0) / a.length;
}

/** The task metric of each model, and how each student's answers compare with the teacher's. */
import { evaluationLength, openClassifier, softmax } from 'kdx/classifier';
import { argmaxRows, encodeExamples, scoreTask, type TaskData } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { sha256 } from 'kdx/files';
import type { Progress } from 'kdx/progress';
import type { BenchModel } from './bench-model.ts';
import { meanInterval, metricInterval, ratioInterval, wilsonInterval } from './example-intervals.ts';
import type { DataReport, Metric, StudentFacts } from './report.ts';

export interface Quality {
  readonly metric: Metric;
  /** Class of each example, or value of a regression. */
  readonly answers: ArrayLike<number>;
  /** Rows of softmax probabilities, one after the other; undefined for regression. */
  readonly probabilities: Float64Array | undefined;
}

export interface QualityOptions {
  readonly data: TaskData;
  readonly engine: Engine;
  /** Longer examples are cut to so many tokens; default 128, or what a model takes if that is less. */
  readonly maxLength: number | undefined;
  readonly seed: number;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

/** What identifies the examples of a development set: task, texts and labels, in their order. */
export function describeData({ task, dev }: TaskData): DataReport {
  const content = dev.map(({ text, pair, label }) => [text, pair ?? null, label]);
  return { task: task.name, examples: dev.length, sha256: sha256(JSON.stringify([task.name, content])) };
}

/**
 * Runs each model's file over the development set, on all the engine's threads. Models that do not read text are left
 * out; when interrupted, the models that are done are returned.
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
      const quality = await qualityOf(model, options);
      if (quality) results.set(model.facts.name, quality);
    } catch (error) {
      if (!options.signal?.aborted) throw error;
      options.progress.end();
    }
  }
  return results;
}

async function qualityOf(
  { facts, classifier: source, tuned }: BenchModel,
  options: QualityOptions,
): Promise<Quality | undefined> {
  if (!source) return undefined;
  const { data, engine, progress, signal, seed } = options;
  const { task } = data;
  const classifier = await openClassifier(source, engine, tuned);
  try {
    const maxLength = options.maxLength ?? Math.min(evaluationLength, classifier.maxLength);
    const examples = encodeExamples(source.tokenizer, data.dev, maxLength);
    const label = `evaluate ${facts.name}`;
    const logits = await classifier.logits(examples, { maxLength, progress, label, ...(signal && { signal }) });
    const { labels } = examples;
    const { primary: value } = scoreTask(task, logits.data, labels);
    const isClass = task.kind !== 'regression';
    const answers = isClass ? argmaxRows(logits.data, task.outputs) : logits.data;
    const { primary: metric } = task;
    return {
      metric: { name: metric, value, ci95: metricInterval({ metric, answers, labels }, seed) },
      answers,
      probabilities: isClass ? probabilitiesOf(logits.data, task.outputs) : undefined,
    };
  } finally {
    await classifier.release();
  }
}

function probabilitiesOf(logits: Float32Array, outputs: number): Float64Array {
  const result = new Float64Array(logits.length);
  for (let start = 0; start < logits.length; start += outputs)
    result.set(softmax(Array.from(logits.subarray(start, start + outputs))), start);
  return result;
}

export type Likeness = Pick<StudentFacts, 'retentionCi95' | 'agreement' | 'agreementCi95' | 'klDivergence' | 'klCi95'>;

/** A student's answers beside its teacher's; `null` without both, and for regression where classes are needed. */
export function likeness(
  teacher: Quality | undefined,
  student: Quality | undefined,
  { task, dev }: TaskData,
  seed: number,
): Likeness {
  if (!teacher || !student) return noLikeness;
  const labels = dev.map(({ label }) => label);
  const retentionCi95 = ratioInterval(task.primary, student.answers, teacher.answers, labels, seed);
  if (!teacher.probabilities || !student.probabilities) return { ...noLikeness, retentionCi95 };
  const same = Array.from(teacher.answers).filter((answer, i) => answer === student.answers[i]).length;
  const divergences = klDivergences(teacher.probabilities, student.probabilities, task.outputs);
  return {
    retentionCi95,
    agreement: same / labels.length,
    agreementCi95: wilsonInterval(same, labels.length),
    klDivergence: divergences.reduce((sum, value) => sum + value, 0) / divergences.length,
    klCi95: meanInterval(divergences, seed),
  };
}

export const noLikeness: Likeness = {
  retentionCi95: null,
  agreement: null,
  agreementCi95: null,
  klDivergence: null,
  klCi95: null,
};

/** Σ p log(p / q) of each example, nats; a class that the student rules out counts as the smallest float64. */
function klDivergences(p: Float64Array, q: Float64Array, outputs: number): Float64Array {
  return Float64Array.from({ length: p.length / outputs }, (_, example) => {
    let sum = 0;
    for (let i = example * outputs; i < (example + 1) * outputs; i++) {
      const [a, b] = [p[i] as number, Math.max(q[i] as number, Number.MIN_VALUE)];
      if (a > 0) sum += a * Math.log(a / b);
    }
    return sum;
  });
}

/** For the report: classes as they are, values with six digits. */
export function answersText(quality: Quality | undefined): string | null {
  if (!quality) return null;
  const isClass = quality.probabilities !== undefined;
  return Array.from(quality.answers, (value) => (isClass ? value : Number(value.toPrecision(6)))).join(' ');
}

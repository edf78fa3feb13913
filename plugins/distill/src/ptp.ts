/** Labels of Pea-KD's pretraining with teacher's predictions (arXiv 2009.14822): is the teacher right, is it sure? */
import { z } from 'zod';
import type { Task } from 'kdx/data';
import { internal } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';

/** Names of the four labels by id, for tasks with any number of classes. */
export const ptpLabelNames = [
  'confidently_correct',
  'unconfidently_correct',
  'confidently_wrong',
  'unconfidently_wrong',
] as const;

const confidence = z.number().min(0).max(1);
const explicitSchema = z.strictObject({ correct: confidence, wrong: confidence });

/** Confidences above which a correct and a wrong prediction count as confident. */
export type PtpThresholds = Readonly<z.infer<typeof explicitSchema>>;

export const ptpSchema = z.strictObject({
  /** `median` of the confidences of correct and of wrong predictions on the train set; `published`: the authors'. */
  thresholds: z
    .union([z.enum(['median', 'published']), explicitSchema], {
      error: 'expected median, published or {correct: 0 to 1, wrong: 0 to 1}',
    })
    .default('median'),
});

export type PtpOptions = z.infer<typeof ptpSchema>;

/** Of the authors' code, by task. */
const published: Readonly<Record<string, PtpThresholds>> = {
  rte: { correct: 0.8, wrong: 0.6 },
  mrpc: { correct: 0.95, wrong: 0.75 },
  sst2: { correct: 0.98, wrong: 0.8 },
  qnli: { correct: 0.98, wrong: 0.7 },
  cola: { correct: 0.95, wrong: 0.7 },
};

/** Why PTP cannot be applied to a task, and what to change; empty when it can. */
export function ptpProblems(task: Pick<Task, 'name' | 'kind'>, { thresholds }: PtpOptions): string[] {
  if (task.kind === 'regression') return [`PTP needs classes, ${task.name} is a regression: leave it out`];
  if (thresholds === 'published' && !published[task.name]) {
    const known = Object.keys(published).join(', ');
    return [`thresholds: published exist for ${known}, not for ${task.name}: use median or numbers`];
  }
  return [];
}

/** What `ptpLabels` takes for a task. */
export function ptpThresholds(task: Pick<Task, 'name'>, { thresholds }: PtpOptions): PtpThresholds | 'median' {
  if (thresholds !== 'published') return thresholds;
  const found = published[task.name];
  if (!found) throw internal(`no published thresholds of ${task.name}`);
  return found;
}

export interface PtpLabels {
  /** Ids of `ptpLabelNames`, one per example. */
  readonly labels: Float64Array;
  /** Examples of each label. */
  readonly counts: readonly [number, number, number, number];
  /** As applied: those of the train set go to the development set. */
  readonly thresholds: PtpThresholds;
  /** What a user should know of the labels, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Labels by the teacher's raw logits [examples, classes] and the class ids of the examples. The confidence is the
 * largest probability, without a temperature; more than the threshold is confident.
 */
export function ptpLabels(
  teacherLogits: Tensor<'float32' | 'float64'>,
  goldLabels: ArrayLike<number>,
  thresholds: PtpThresholds | 'median',
): PtpLabels {
  const predictions = predictionsOf(teacherLogits, goldLabels);
  const chosen = thresholds === 'median' ? medians(predictions) : { thresholds, notes: [] };
  const { correct, wrong } = chosen.thresholds;
  const labels = Float64Array.from(predictions, (prediction) =>
    prediction.correct ? Number(prediction.confidence <= correct) : 2 + Number(prediction.confidence <= wrong),
  );
  const counts: [number, number, number, number] = [0, 0, 0, 0];
  for (const label of labels) counts[label as 0 | 1 | 2 | 3]++;
  return { labels, counts, thresholds: chosen.thresholds, notes: [...chosen.notes, ...oneSided(counts)] };
}

interface Prediction {
  readonly correct: boolean;
  readonly confidence: number;
}

function predictionsOf({ dims, data }: Tensor<'float32' | 'float64'>, goldLabels: ArrayLike<number>): Prediction[] {
  const [examples, classes] = dims as [number, number];
  if (examples === 0 || goldLabels.length !== examples)
    throw internal(`logits of ${examples} examples, labels of ${goldLabels.length}`);
  return Array.from({ length: examples }, (_, i) => {
    const logits = Float64Array.from(data.subarray(i * classes, (i + 1) * classes));
    const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    if (!Number.isFinite(total)) throw internal(`the logits of example ${i} are not finite`);
    return { correct: logits.indexOf(largest) === goldLabels[i], confidence: 1 / total };
  });
}

/** The median of each group; a group without examples takes that of the other. */
function medians(predictions: readonly Prediction[]): Pick<PtpLabels, 'thresholds' | 'notes'> {
  const group = (correct: boolean) =>
    predictions.filter((prediction) => prediction.correct === correct).map((prediction) => prediction.confidence);
  const [correct, wrong] = [median(group(true)), median(group(false))];
  if (correct !== undefined && wrong !== undefined) return { thresholds: { correct, wrong }, notes: [] };
  const only = (correct ?? wrong) as number;
  const [empty, full] = correct === undefined ? ['correct', 'wrong'] : ['wrong', 'correct'];
  return {
    thresholds: { correct: only, wrong: only },
    notes: [
      `the teacher has no ${empty} prediction: the threshold ${only.toFixed(4)} of the ${full} ones is taken for both`,
    ],
  };
}

function median(values: number[]): number | undefined {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  return upper === undefined || !Number.isInteger(middle) ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

/** Groups whose predictions are all confident or all unconfident, as when the teacher's confidences are saturated. */
function oneSided(counts: PtpLabels['counts']): string[] {
  const groups = [
    ['correct', counts[0], counts[1]],
    ['wrong', counts[2], counts[3]],
  ] as const;
  return groups.flatMap(([name, sure, unsure]) => {
    if (sure + unsure === 0 || (sure > 0 && unsure > 0)) return [];
    return [`none of the teacher's ${sure + unsure} ${name} predictions is ${sure > 0 ? 'un' : ''}confident`];
  });
}

/** The metrics of GLUE, as scikit-learn and SciPy define them; degenerate inputs give 0, never NaN. */
import { internal } from '../errors/index.ts';

/** `pearson_spearman` is the mean of the two correlations. */
export type MetricName = 'accuracy' | 'f1' | 'matthews' | 'pearson' | 'spearman' | 'pearson_spearman';

type Numbers = ArrayLike<number>;

/** Each takes predictions (label ids, or values for correlations) and labels of one length, at least 1. */
export const metrics: Readonly<Record<MetricName, (predictions: Numbers, labels: Numbers) => number>> = {
  accuracy,
  f1,
  matthews,
  pearson,
  spearman,
  pearson_spearman: (predictions, labels) => (pearson(predictions, labels) + spearman(predictions, labels)) / 2,
};

function pairs(predictions: Numbers, labels: Numbers): number {
  if (predictions.length !== labels.length || labels.length === 0)
    throw internal(`a metric of ${predictions.length} predictions and ${labels.length} labels`);
  return labels.length;
}

/** Share of equal pairs. */
export function accuracy(predictions: Numbers, labels: Numbers): number {
  const count = pairs(predictions, labels);
  let right = 0;
  for (let i = 0; i < count; i++) if (predictions[i] === labels[i]) right++;
  return right / count;
}

/** 2 tp / (2 tp + fp + fn) of class 1; 0 when class 1 occurs in neither. */
export function f1(predictions: Numbers, labels: Numbers): number {
  const count = pairs(predictions, labels);
  let both = 0;
  let either = 0;
  for (let i = 0; i < count; i++) {
    const predicted = predictions[i] === 1;
    const actual = labels[i] === 1;
    if (predicted && actual) both++;
    either += Number(predicted) + Number(actual);
  }
  return either === 0 ? 0 : (2 * both) / either;
}

/**
 * Matthews correlation for any number of classes (Gorodkin's R_K):
 * (c n - sum p_k t_k) / sqrt((n^2 - sum p_k^2) (n^2 - sum t_k^2)), with c right out of n, p_k predicted and t_k actual
 * counts of class k; 0 when all predictions or all labels are the same.
 */
export function matthews(predictions: Numbers, labels: Numbers): number {
  const count = pairs(predictions, labels);
  const predicted = tally(predictions);
  const actual = tally(labels);
  const right = accuracy(predictions, labels) * count;
  let agreement = 0;
  for (const [label, times] of predicted) agreement += times * (actual.get(label) ?? 0);
  const spread = (counts: Map<number, number>) =>
    count * count - [...counts.values()].reduce((sum, times) => sum + times * times, 0);
  const scale = Math.sqrt(spread(predicted) * spread(actual));
  return scale === 0 ? 0 : (Math.round(right) * count - agreement) / scale;
}

function tally(values: Numbers): Map<number, number> {
  const counts = new Map<number, number>();
  for (let i = 0; i < values.length; i++) counts.set(values[i] as number, (counts.get(values[i] as number) ?? 0) + 1);
  return counts;
}

/** Linear correlation; 0 when either side is constant. */
export function pearson(predictions: Numbers, labels: Numbers): number {
  const count = pairs(predictions, labels);
  if (isConstant(predictions) || isConstant(labels)) return 0;
  const meanX = mean(predictions);
  const meanY = mean(labels);
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < count; i++) {
    const x = (predictions[i] as number) - meanX;
    const y = (labels[i] as number) - meanY;
    xx += x * x;
    yy += y * y;
    xy += x * y;
  }
  const scale = Math.sqrt(xx) * Math.sqrt(yy);
  return scale === 0 ? 0 : Math.max(-1, Math.min(1, xy / scale));
}

function isConstant(values: Numbers): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}

function mean(values: Numbers): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}

/** Correlation of ranks, ties sharing their average rank; 0 when either side is constant. */
export function spearman(predictions: Numbers, labels: Numbers): number {
  return pearson(ranks(predictions), ranks(labels));
}

/** Ranks from 1; equal values share the average of theirs. */
export function ranks(values: Numbers): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => (values[a] as number) - (values[b] as number));
  const result = new Float64Array(values.length);
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && values[order[end] as number] === values[order[start] as number]) end++;
    for (let i = start; i < end; i++) result[order[i] as number] = (start + 1 + end) / 2;
    start = end;
  }
  return result;
}

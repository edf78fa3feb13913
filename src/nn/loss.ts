/** Losses as graphs. Every mean over examples is weighted, so that filler rows of a short batch count nothing. */
import type { GraphBuilder, Value } from '../ops/index.ts';

/** Σ weights·values / Σ weights; values and weights [batch]. */
export function weightedMean(g: GraphBuilder, values: Value, weights: Value): Value {
  return g.div(g.total(g.mul(values, weights)), g.total(weights));
}

/** log softmax over the last axis, by ReduceLogSumExp (LogSoftmax has no WebGPU kernel). */
export function logSoftmax(g: GraphBuilder, logits: Value): Value {
  return g.sub(logits, g.op('ReduceLogSumExp', [logits], { axes: [logits.shape.length - 1], keepdims: 1 }));
}

/** Hard-label cross-entropy: logits [batch, labels], labels int64 [batch]. */
export function crossEntropy(g: GraphBuilder, logits: Value, labels: Value, weights: Value): Value {
  const column = g.op('Unsqueeze', [labels, g.ints([1])]);
  const picked = g.op('GatherElements', [logSoftmax(g, logits), column], { axis: 1 });
  return weightedMean(g, g.op('Neg', [g.op('Squeeze', [picked, g.ints([1])])]), weights);
}

/** Mean squared error of one output per example: outputs [batch, 1], targets [batch]. */
export function squaredError(g: GraphBuilder, outputs: Value, targets: Value, weights: Value): Value {
  const difference = g.sub(g.op('Squeeze', [outputs, g.ints([1])]), targets);
  return weightedMean(g, g.mul(difference, difference), weights);
}

/** How the sum over classes of a distillation loss is averaged: over examples, or over examples and classes. */
export type Reduction = 'batchmean' | 'mean';

/**
 * log of the mean over teachers of softmax(logits/T), [batch, labels]; of one teacher, or of equal ones, its log softmax.
 * Relative to the largest, so that probabilities too small for a float do not become log 0.
 */
export function softenedTargets(g: GraphBuilder, teachers: readonly Value[], temperature: number): Value {
  const logs = teachers.map((logits) => logSoftmax(g, g.scale(logits, 1 / temperature)));
  if (logs.length === 1) return logs[0] as Value;
  const largest = logs.reduce((a, b) => g.op('Max', [a, b]));
  const sum = logs.map((log) => g.op('Exp', [g.sub(log, largest)])).reduce((total, next) => g.add(total, next));
  return g.add(largest, g.op('Log', [g.scale(sum, 1 / logs.length)]));
}

/**
 * Hinton's distillation term: T²·KL(softmax(teacher/T) || softmax(student/T)), logits [batch, labels]. Several teachers
 * stand for the mean of their probabilities. `mean` divides by the number of classes as well, as the code of Patient KD
 * does.
 */
export function softDivergence(
  g: GraphBuilder,
  student: Value,
  teachers: readonly Value[],
  weights: Value,
  { temperature, reduction }: { readonly temperature: number; readonly reduction: Reduction },
): Value {
  const logStudent = logSoftmax(g, g.scale(student, 1 / temperature));
  const logTeacher = softenedTargets(g, teachers, temperature);
  const terms = g.mul(g.op('Exp', [logTeacher]), g.sub(logTeacher, logStudent));
  const classes = reduction === 'mean' ? (student.shape[1] as number) : 1;
  return g.scale(weightedMean(g, g.sum(terms, [1]), weights), temperature ** 2 / classes);
}

/** Mean squared error of logits, over examples and outputs; for regression teachers, whose KL is always 0. */
export function logitError(g: GraphBuilder, student: Value, teacher: Value, weights: Value): Value {
  const difference = g.sub(student, teacher);
  return weightedMean(g, g.op('ReduceMean', [g.mul(difference, difference)], { axes: [1], keepdims: 0 }), weights);
}

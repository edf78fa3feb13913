/** How much a student answers like its teacher, and how well its probabilities fit the labels. */
import { mean } from './spread.ts';

type Rows = readonly (readonly number[])[];

/** Examples by the probability of their answer. */
export interface CalibrationBin {
  /** The bin is (low, high]. */
  readonly low: number;
  readonly high: number;
  readonly count: number;
  /** Mean probability of the answer; 0 when empty. */
  readonly confidence: number;
  /** Share of right answers; 0 when empty. */
  readonly accuracy: number;
}

/** Bins of equal width over [0, 1]. */
export const calibrationBinCount = 15;

/** Index of the largest logit of each row, the lowest among equals. */
export function answers(logits: Rows): number[] {
  return logits.map((row) => row.indexOf(Math.max(...row)));
}

/** Share of examples with the same answer. */
export function agreement(teacher: Rows, student: Rows): number {
  const expected = answers(teacher);
  return mean(answers(student).map((answer, i) => Number(answer === expected[i])));
}

/** Mean over examples of KL(teacher || student) of the softmax at temperature 1, in nats. */
export function divergence(teacher: Rows, student: Rows): number {
  return mean(
    teacher.map((row, i) => {
      const [p, q] = [logSoftmax(row), logSoftmax(student[i] as readonly number[])];
      return p.reduce((sum, logP, c) => sum + Math.exp(logP) * (logP - (q[c] as number)), 0);
    }),
  );
}

/** Root of the mean squared difference of all outputs: that of the values, for regression. */
export function rmsDifference(teacher: Rows, student: Rows): number {
  const squares = teacher.flatMap((row, i) => row.map((value, c) => (value - (student[i]?.[c] as number)) ** 2));
  return Math.sqrt(mean(squares));
}

/** Mean of -log probability of the label, in nats. */
export function negativeLogLikelihood(logits: Rows, labels: readonly number[]): number {
  return mean(logits.map((row, i) => -(logSoftmax(row)[labels[i] as number] as number)));
}

/** Of one model, or of several with the same labels together. */
export function calibrationBins(models: readonly Rows[], labels: readonly number[]): CalibrationBin[] {
  const sums = Array.from({ length: calibrationBinCount }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (const logits of models) {
    const chosen = answers(logits);
    logits.forEach((row, i) => {
      const answer = chosen[i] as number;
      const confidence = Math.exp(logSoftmax(row)[answer] as number);
      const bin = sums[Math.min(Math.ceil(confidence * calibrationBinCount), calibrationBinCount) - 1]!;
      bin.count++;
      bin.confidence += confidence;
      bin.right += Number(answer === labels[i]);
    });
  }
  return sums.map(({ count, confidence, right }, i) => ({
    low: i / calibrationBinCount,
    high: (i + 1) / calibrationBinCount,
    count,
    confidence: count === 0 ? 0 : confidence / count,
    accuracy: count === 0 ? 0 : right / count,
  }));
}

/** Mean over examples of |accuracy - confidence| of their bin (Guo et al. 2017). */
export function expectedCalibrationError(bins: readonly CalibrationBin[]): number {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  return bins.reduce((sum, bin) => sum + bin.count * Math.abs(bin.accuracy - bin.confidence), 0) / total;
}

function logSoftmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const log = top + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - top), 0));
  return logits.map((value) => value - log);
}

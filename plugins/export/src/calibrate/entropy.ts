/**
 * The range whose quantized values are distributed most like the values (KL divergence; S. Migacz, 8-bit Inference with
 * TensorRT, GTC 2017), for a range with two ends.
 */
import { edgeOf, zeroBin, type Histogram, type Range } from './histogram.ts';

/** A count in the place of none, so that a logarithm exists. */
const NONE = 1e-4;
/** The ends are moved in turn, so often. */
const ROUNDS = 2;

/** @param levels of a quantized value; the range gets at least so many bins where the histogram has them */
export function entropyRange(histogram: Histogram, levels: number): Range {
  const { counts } = histogram;
  const bins = counts.length;
  const zero = zeroBin(histogram);
  const stride = Math.max(1, Math.floor(bins / levels));
  let [first, end] = [0, bins];
  let least = divergence(counts, first, end, levels);
  const consider = (from: number, to: number): void => {
    const found = divergence(counts, from, to, levels);
    if (found < least) [least, first, end] = [found, from, to];
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (let to = bins; to > zero && to - first >= Math.min(levels, bins); to -= stride) consider(first, to);
    for (let from = 0; from <= zero && end - from >= Math.min(levels, bins); from += stride) consider(from, end);
  }
  return { low: edgeOf(histogram, first), high: edgeOf(histogram, end) };
}

/**
 * KL(P ‖ Q) in nats over the bins first to end - 1. P: the counts, with all that is outside in the bins at the ends. Q: the
 * counts without what is outside, each level's count spread evenly over its bins that P knows.
 */
export function divergence(counts: Float64Array, first: number, end: number, levels: number): number {
  const size = end - first;
  const reference = counts.slice(first, end);
  reference[0]! += sum(counts, 0, first);
  reference[size - 1]! += sum(counts, end, counts.length);
  const quantized = new Float64Array(size);
  for (let level = 0; level < levels; level++) {
    const [from, to] = [Math.ceil((level * size) / levels), Math.ceil(((level + 1) * size) / levels)];
    let known = 0;
    for (let bin = from; bin < to; bin++) if ((reference[bin] as number) > 0) known++;
    const share = known > 0 ? Math.max(NONE, sum(counts, first + from, first + to) / known) : 0;
    for (let bin = from; bin < to; bin++) if ((reference[bin] as number) > 0) quantized[bin] = share;
  }
  const [all, inside] = [sum(reference, 0, size), sum(quantized, 0, size)];
  let result = 0;
  for (let bin = 0; bin < size; bin++) {
    const [p, q] = [(reference[bin] as number) / all, (quantized[bin] as number) / inside];
    if (p > 0) result += p * Math.log(p / q);
  }
  return result;
}

function sum(values: Float64Array, from: number, to: number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += values[i] as number;
  return total;
}

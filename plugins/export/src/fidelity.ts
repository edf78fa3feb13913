/** The gate of quantized files: how near are their answers to those of the float checkpoint? */
import { softmax } from 'kdx/classifier';
import { argmaxRows, type Example } from 'kdx/data';
import { internal, KdxError } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';

/** What a quantized file must reach. */
export interface FidelityLimits {
  /** Smallest share of sentences with the same label. */
  readonly agreement: number;
  /** Largest rmsDifference / spread. */
  readonly relativeRms: number;
}

/** Room for rounding to 8 bits; a wrong scale or a lost layer is far outside. */
export const defaultLimits: FidelityLimits = { agreement: 0.95, relativeRms: 0.15 };

/** How near the logits of a file are to those of its checkpoint. */
export interface Figures {
  readonly sentences: number;
  /** Over all logits of all sentences. */
  readonly maxAbsDifference: number;
  readonly rmsDifference: number;
  /** Standard deviation of all logits of the checkpoint. */
  readonly spread: number;
  /** Share of sentences whose largest logit is at the same place. */
  readonly agreement: number;
  /** Mean KL(checkpoint ‖ file) of the probabilities, in nats; 0 for a regression. */
  readonly klDivergence: number;
}

export interface Fidelity extends Figures {
  readonly limits: FidelityLimits;
}

/**
 * Compares logits of the same texts, [texts, labels].
 * @param runtime for the message
 * @throws KdxError `parity-failed`: a figure outside its limit, or a logit that is no number
 */
export function checkFidelity(
  texts: readonly Pick<Example, 'text'>[],
  expected: Tensor<'float32'>,
  found: Tensor<'float32'>,
  limits: FidelityLimits,
  runtime?: string,
): Fidelity {
  const figures = measureAnswers(expected, found);
  const { rmsDifference, spread, agreement } = figures;
  const allowed = limits.relativeRms * spread;
  // A comparison with NaN is false.
  if (rmsDifference <= allowed && agreement >= limits.agreement) return { ...figures, limits };
  const where = runtime === undefined ? '' : ` on ${runtime}`;
  throw new KdxError(
    'parity-failed',
    `the quantized model answers otherwise than its checkpoint${where}, so nothing was written: logits differ by ` +
      `${rmsDifference.toPrecision(3)} (root mean square; allowed ${allowed.toPrecision(3)}, ${limits.relativeRms} of ` +
      `their spread), ${Math.round(agreement * texts.length)} of ${texts.length} labels are the same (needed ` +
      `${Math.ceil(limits.agreement * texts.length)})`,
    {
      suggestions: [
        '--set exclude=NAME keeps a layer in float32',
        '--max-rms and --min-agreement allow more',
        ...(runtime === undefined ? [] : ['--runtimes node leaves this runtime out']),
      ],
      exitCode: 1,
    },
  );
}

/** Compares logits of the same texts, [texts, labels]. */
export function measureAnswers(expected: Tensor<'float32'>, found: Tensor<'float32'>): Figures {
  const [sentences, labels] = expected.dims as readonly [number, number];
  if (sentences === 0 || found.dims.join() !== expected.dims.join())
    throw internal(`logits [${found.dims.join()}] compared with [${expected.dims.join()}]`);
  const differences = expected.data.map((value, i) => value - (found.data[i] as number));
  const [best, other] = [argmaxRows(expected.data, labels), argmaxRows(found.data, labels)];
  const mean = average(expected.data);
  const rows = Array.from({ length: sentences }, (_, i) => [i * labels, (i + 1) * labels] as const);
  return {
    sentences,
    maxAbsDifference: differences.reduce((max, difference) => Math.max(max, Math.abs(difference)), 0),
    rmsDifference: rootMeanSquare(differences),
    spread: rootMeanSquare(expected.data.map((value) => value - mean)),
    agreement: best.filter((label, i) => label === other[i]).length / sentences,
    klDivergence: average(rows.map((row) => divergence(expected.data.subarray(...row), found.data.subarray(...row)))),
  };
}

/** KL(softmax(expected) ‖ softmax(found)), in nats. */
function divergence(expected: Float32Array, found: Float32Array): number {
  const [p, q] = [softmax([...expected]), softmax([...found])];
  // A probability that has underflowed is as the smallest one.
  const log = (value: number) => Math.log(Math.max(value, Number.MIN_VALUE));
  return p.reduce((sum, value, i) => sum + value * (log(value) - log(q[i] as number)), 0);
}

function average(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

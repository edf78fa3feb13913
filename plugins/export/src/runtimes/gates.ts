/** What answers must reach, whichever runtime gave them. */
import type { Example } from 'kdx/data';
import type { Tensor } from 'kdx/graph';
import { checkFidelity, measureAnswers, type Fidelity, type FidelityLimits, type Figures } from '../fidelity.ts';
import { checkParity, type Parity } from '../parity.ts';

export interface Answers {
  readonly texts: readonly Pick<Example, 'text' | 'pair'>[];
  /** Of the checkpoint. [texts, labels] */
  readonly expected: Tensor<'float32'>;
  /** Of the file. [texts, labels] */
  readonly found: Tensor<'float32'>;
  /** A second runtime, and what onnxruntime-node has found for the same texts. */
  readonly other?: { readonly runtime: string; readonly onNode: Tensor<'float32'> };
}

/** @throws KdxError `parity-failed` */
export type Gate<T extends Parity | Fidelity> = (answers: Answers) => T;

export function floatGate(tolerance: number): Gate<Parity> {
  return ({ texts, expected, found, other }) => checkParity(texts, expected, found, tolerance, other?.runtime);
}

export function quantizedGate(limits: FidelityLimits): Gate<Fidelity> {
  return ({ texts, expected, found, other }) => {
    const reached = other && measureAnswers(expected, other.onNode);
    return checkFidelity(texts, expected, found, reached ? limitsBeside(limits, reached) : limits, other?.runtime);
  };
}

/**
 * A few of the sentences can be worse than all of them, so a second runtime may be as far off as onnxruntime-node is on
 * the same ones: one label and a tenth more, because rounding differs between runtimes.
 */
function limitsBeside(
  limits: FidelityLimits,
  { agreement, sentences, rmsDifference, spread }: Figures,
): FidelityLimits {
  return {
    agreement: Math.min(limits.agreement, agreement - 1 / sentences),
    relativeRms: Math.max(limits.relativeRms, (1.1 * rmsDifference) / spread),
  };
}

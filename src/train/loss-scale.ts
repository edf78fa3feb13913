/**
 * Dynamic loss scaling (Micikevicius et al. 2018, arXiv 1710.03740, section 3.2): the loss is multiplied by a power of two,
 * so that small gradients do not become 0 in float16. It is halved when gradients overflow, doubled when they have not for
 * a while. Multiplying and dividing by a power of two does not round.
 */

export interface LossScale {
  readonly scale: number;
  /** Steps since it changed. */
  readonly good: number;
  /** Steps that were left out because their gradients overflowed. */
  readonly skipped: number;
}

export const firstLossScale: LossScale = { scale: 2 ** 16, good: 0, skipped: 0 };

/** Good steps until it is doubled. */
const PATIENCE = 2000;

/** Beyond it nothing is gained, and sums of squares come near the largest float32. */
const LARGEST = 2 ** 24;

export function nextLossScale({ scale, good, skipped }: LossScale, overflowed: boolean): LossScale {
  if (overflowed) return { scale: scale / 2, good: 0, skipped: skipped + 1 };
  if (good + 1 < PATIENCE) return { scale, good: good + 1, skipped };
  return { scale: Math.min(2 * scale, LARGEST), good: 0, skipped };
}

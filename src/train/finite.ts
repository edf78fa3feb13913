/** What becomes of a step whose numbers are not finite. */
import { KdxError } from '../errors/index.ts';
import type { Position } from './state.ts';

/**
 * Whether the gradients overflowed in float16, so that the step changed nothing. Any other number that is not finite has
 * spoilt the parameters, or will.
 * @param values loss, metrics and gradient norm of the step
 * @throws KdxError `loss-not-finite`
 */
export function hasOverflowed(values: Readonly<Record<string, number>>, step: number, position: Position): boolean {
  const { lossScale } = position;
  const bad = Object.entries(values).filter(([, value]) => !Number.isFinite(value));
  const [first] = bad.filter(([name]) => !lossScale || name !== 'gradient_norm');
  if (first) throw notFinite(`the ${first[0].replace('_', ' ')} became ${first[1]}`, step, position);
  if (bad.length > 0 && lossScale && lossScale.scale <= 1)
    throw notFinite('the gradients overflowed float16 without any loss scaling', step, position);
  return bad.length > 0;
}

export function notFinite(what: string, step: number, { best, lossScale }: Position, cause?: unknown): KdxError {
  const kept = best ? `the best checkpoint (step ${best.step}) is kept` : 'no checkpoint had been written yet';
  return new KdxError('loss-not-finite', `${what} at step ${step}; ${kept}`, {
    suggestions: [
      'a lower learning rate (--lr), or a longer warm-up (--set train.warmup=0.2), in a new --out',
      ...(lossScale ? ['--precision float32, whose numbers have a larger range'] : []),
    ],
    cause,
  });
}

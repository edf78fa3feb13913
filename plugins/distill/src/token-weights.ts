/** Weights for means over the tokens of a batch. */
import type { Value } from 'kdx/ops';
import type { MethodContext } from './methods/method.ts';

/** The weight of each token's example, 0 on padding: [rows, length]. */
export function tokenWeights({ g, inputs, weights }: Pick<MethodContext, 'g' | 'inputs' | 'weights'>): Value {
  const mask = g.op('Cast', [inputs.attentionMask], { to: g.float });
  return g.mul(mask, g.op('Unsqueeze', [weights, g.ints([1])]));
}

/** The tokens that masking drew, within a step graph, and losses over them. */
import { crossEntropy } from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';
import { maskingCapacity, type MaskingOptions } from './masking.ts';
import type { MethodContext } from './methods/method.ts';

/** Inputs that `drawMasking` feeds. */
export interface MaskedTokens {
  /** int64 [rows, length] */
  readonly inputIds: Value;
  /** int64 [K] */
  readonly positions: Value;
  /** int64 [K] */
  readonly targets: Value;
  /** [K] */
  readonly weights: Value;
}

export function maskedTokens(context: MethodContext, options: MaskingOptions): MaskedTokens {
  const { g, bucket } = context;
  const capacity = [maskingCapacity(options, bucket)];
  return {
    inputIds: context.input('masked_ids', 'int64', [bucket.rows, bucket.length]),
    positions: context.input('masked_positions', 'int64', capacity),
    targets: context.input('masked_targets', 'int64', capacity),
    weights: context.input('masked_weights', g.float, capacity),
  };
}

/** Every token as a row: [rows, length, hidden] to [rows · length, hidden]. */
export function tokenRows(g: GraphBuilder, hidden: Value): Value {
  return g.reshape(hidden, [-1, hidden.shape[2] as number]);
}

/** The drawn tokens: [rows, length, hidden] to [K, hidden]. */
export function drawnRows(g: GraphBuilder, hidden: Value, { positions }: MaskedTokens): Value {
  return g.op('Gather', [tokenRows(g, hidden), positions], { axis: 0 });
}

/** A weighted mean over the drawn tokens; 0 where none could be drawn, which would otherwise be 0/0. */
export function drawnMean(g: GraphBuilder, { weights }: MaskedTokens, mean: (weights: Value) => Value): Value {
  const any = g.op('Min', [g.total(weights), g.scalar(1)]);
  return g.mul(any, mean(g.add(weights, g.sub(g.scalar(1), any))));
}

/** Cross-entropy of the drawn tokens by their logits [K, vocabulary], a mean. */
export function maskedCrossEntropy(g: GraphBuilder, logits: Value, masked: MaskedTokens): Value {
  return drawnMean(g, masked, (weights) => crossEntropy(g, logits, masked.targets, weights));
}

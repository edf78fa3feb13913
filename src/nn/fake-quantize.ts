/**
 * Weights as they will be after quantization, still in float: rounded to the numbers that the exported file will hold.
 * Training on them with the gradient taken as that of the float weights (straight through) learns to live with rounding.
 */
import type { GraphBuilder, Value } from '../ops/index.ts';

/** `channels`: symmetric, a scale per output. `blocks`: symmetric, a scale per block of inputs of an output. */
export type WeightRounding =
  | { readonly kind: 'channels'; readonly bits: 7 | 8 }
  | { readonly kind: 'blocks'; readonly bits: 4 | 8; readonly block: number };

/** A linear weight [in, out] rounded and back, in the same shape. */
export function fakeQuantized(g: GraphBuilder, weight: Value, rounding: WeightRounding): Value {
  return rounding.kind === 'channels' ? byChannel(g, weight, rounding.bits) : byBlock(g, weight, rounding);
}

/** q = round(w / s), s = max |w| / (2^(bits-1) - 1) over the inputs of an output. */
function byChannel(g: GraphBuilder, weight: Value, bits: number): Value {
  const largest = g.op('ReduceMax', [g.op('Abs', [weight])], { axes: [0], keepdims: 1 });
  const scale = notZero(g, g.scale(largest, 1 / (2 ** (bits - 1) - 1)));
  return g.mul(g.op('Round', [g.div(weight, scale)]), scale);
}

/**
 * The scheme of MatMulNBits: s = w* / -2^(bits-1) with w* the weight of largest magnitude in the block, sign included,
 * so that it is exact; q = round(w / s) clipped to -2^(bits-1) .. 2^(bits-1) - 1. The last block may be shorter.
 */
function byBlock(
  g: GraphBuilder,
  weight: Value,
  { bits, block }: { readonly bits: number; readonly block: number },
): Value {
  const [inputs, outputs] = weight.shape as [number, number];
  const blocks = Math.ceil(inputs / block);
  const missing = blocks * block - inputs;
  const padded = missing === 0 ? weight : g.op('Pad', [weight, g.ints([0, 0, missing, 0]), g.scalar(0)]);
  const x = g.reshape(padded, [blocks, block, outputs]);
  const over = { axes: [1], keepdims: 1 };
  const high = g.op('ReduceMax', [x], over);
  const low = g.op('Neg', [g.op('ReduceMax', [g.op('Neg', [x])], over)]);
  const extreme = g.op('Where', [g.op('Greater', [high, g.op('Neg', [low])]), high, low]);
  const half = 2 ** (bits - 1);
  const scale = notZero(g, g.scale(extreme, -1 / half));
  const rounded = g.op('Round', [g.div(x, scale)]);
  const clipped = g.op('Min', [g.op('Max', [rounded, g.scalar(-half)]), g.scalar(half - 1)]);
  const flat = g.reshape(g.mul(clipped, scale), [blocks * block, outputs]);
  return missing === 0 ? flat : g.op('Slice', [flat, g.ints([0]), g.ints([inputs]), g.ints([0])]);
}

/** 1 in place of 0: a block of zeros stays zero. */
function notZero(g: GraphBuilder, scale: Value): Value {
  return g.op('Where', [g.op('Equal', [scale, g.scalar(0)]), g.scalar(1), scale]);
}

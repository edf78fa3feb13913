/** Gradient clipping by the global norm. */
import type { GraphBuilder, Value } from '../ops/index.ts';

/** √Σ‖g‖² over all gradients, a scalar. */
export function globalNorm(g: GraphBuilder, gradients: readonly Value[]): Value {
  const squares = gradients.map((gradient) =>
    g.op('ReduceSumSquare', [gradient], { axes: gradient.shape.map((_, axis) => axis), keepdims: 0 }),
  );
  return g.op('Sqrt', [squares.reduce((sum, square) => g.add(sum, square))]);
}

/** Factor that brings the norm to at most maxNorm: min(1, maxNorm / (norm + 1e-6)), as PyTorch's clip_grad_norm_. */
export function clipFactor(g: GraphBuilder, norm: Value, maxNorm: number): Value {
  return g.op('Min', [g.div(g.scalar(maxNorm), g.add(norm, g.scalar(1e-6))), g.scalar(1)]);
}

/** Vectors scaled to length 1. */
import type { GraphBuilder, Value } from 'kdx/ops';

/** Square of the least length that is divided by. */
const LEAST = 1e-24;

/** x / max(‖x‖, 1e-12) over the last axis; a vector of zeros stays one, with a finite gradient. */
export function unitVectors(g: GraphBuilder, x: Value): Value {
  const squares = g.op('ReduceSumSquare', [x], { axes: [x.shape.length - 1], keepdims: 1 });
  return g.div(x, g.op('Sqrt', [g.op('Max', [squares, g.scalar(LEAST)])]));
}

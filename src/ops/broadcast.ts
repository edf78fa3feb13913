/** Multidirectional broadcasting as ONNX defines it. */
import { internal } from '../errors/index.ts';
import type { Dim, Shape } from '../graph/index.ts';

function broadcastDim(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  // A symbol beside a number is the number; two symbols are taken to be equal at run time.
  if (typeof a === 'string') return typeof b === 'string' ? a : b;
  return typeof b === 'string' ? a : undefined;
}

/** Shape of an elementwise result. */
export function broadcastShapes(...shapes: readonly Shape[]): Shape {
  return shapes.reduce((left, right) => {
    const rank = Math.max(left.length, right.length);
    return Array.from({ length: rank }, (_, i) => {
      const a = left[i - rank + left.length] ?? 1;
      const b = right[i - rank + right.length] ?? 1;
      const dim = broadcastDim(a, b);
      if (dim === undefined) throw internal(`shapes [${left.join(',')}] and [${right.join(',')}] do not broadcast`);
      return dim;
    });
  });
}

/** Axes of `from` over which a value of shape `to` was repeated to get shape `from`. */
export function broadcastAxes(from: Shape, to: Shape): number[] {
  const lead = from.length - to.length;
  return from.flatMap((dim, i) => (i < lead || (to[i - lead] === 1 && dim !== 1) ? [i] : []));
}

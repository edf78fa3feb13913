/** How far the directions of vectors are apart. */
import { weightedMean } from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';
import { unitVectors } from './unit-vectors.ts';

/**
 * Mean over tokens of 1 - cos(a, b); states [rows, length, hidden], weights [rows, length]. For unit vectors
 * 1 - cos = ½‖u - v‖², which keeps its digits where both are alike.
 */
export function cosineDistance(g: GraphBuilder, a: Value, b: Value, weights: Value): Value {
  const difference = g.sub(unitVectors(g, a), unitVectors(g, b));
  const squares = g.op('ReduceSumSquare', [difference], { axes: [2], keepdims: 0 });
  return g.scale(weightedMean(g, squares, weights), 0.5);
}

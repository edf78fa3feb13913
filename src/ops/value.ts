/** Values while a graph is being built: their type and shape are always known. */
import { internal } from '../errors/index.ts';
import type { Dim, DType, Shape } from '../graph/index.ts';

/** A named edge of the graph under construction. Dimensions may be symbolic, the rank never is. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Type and shape of an output before it has a name. */
export type OutputType = Pick<Value, 'dtype' | 'shape'>;

export type Input = Value | undefined;

/** True when every dimension is a number. */
export function isStatic(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === 'number');
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** Axis counted from the front. */
export function normalizeAxis(axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) throw internal(`axis ${axis} of ${rank} axes`);
  return axis < 0 ? axis + rank : axis;
}

export function dimAt(shape: Shape, axis: number): Dim {
  return shape[normalizeAxis(axis, shape.length)] as Dim;
}

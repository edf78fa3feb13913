/** Reductions over axes. */
import { internal } from '../errors/index.ts';
import { numbersOf, type Shape } from '../graph/index.ts';
import type { GraphBuilder } from './builder.ts';
import type { OpEntry, OpTable } from './entry.ts';
import { isStatic, normalizeAxis, type Value } from './value.ts';

type AxesReduction = 'ReduceLogSumExp' | 'ReduceMax' | 'ReduceMean' | 'ReduceSumSquare';

function reducedShape(shape: Shape, axes: readonly number[], keepdims: number): Shape {
  const reduced = new Set(axes.map((axis) => normalizeAxis(axis, shape.length)));
  return shape.flatMap((dim, axis) => (!reduced.has(axis) ? [dim] : keepdims ? [1] : []));
}

/** A reduced value (or its gradient) with the reduced axes back as size 1. */
function keptDims(g: GraphBuilder, y: Value, x: Value, axes: readonly number[]): Value {
  const kept = reducedShape(x.shape, axes, 1);
  return isStatic(kept) ? g.reshape(y, kept) : g.op('Unsqueeze', [y, g.ints(axes)]);
}

function expandTo(g: GraphBuilder, dy: Value, shape: Shape): Value {
  if (!isStatic(shape)) throw internal('the gradient of a sum needs a static shape');
  return g.op('Expand', [dy, g.ints(shape)]);
}

function reduction(gradient: OpEntry<AxesReduction>['gradient']): OpEntry<AxesReduction> {
  return {
    attributes: { axes: 'ints', keepdims: 'int' },
    infer: ({ inputs: [x], attributes: { axes, keepdims = 1 } }) => [
      { dtype: x.dtype, shape: reducedShape(x.shape, axes, keepdims) },
    ],
    gradient,
    traits: {},
  };
}

export const reduce: OpTable<AxesReduction | 'ReduceSum'> = {
  ReduceSum: {
    attributes: { keepdims: 'int' },
    infer: ({ inputs: [x, axes], attributes: { keepdims = 1 }, constant }) => {
      const list = constant(axes);
      if (!list) throw internal('the axes of ReduceSum must be a constant');
      return [{ dtype: x.dtype, shape: reducedShape(x.shape, numbersOf(list), keepdims) }];
    },
    gradient: ({ g, inputs: [x, axes], dy }) => {
      const list = numbersOf(g.constantOf(axes) as NonNullable<ReturnType<typeof g.constantOf>>);
      return [expandTo(g, keptDims(g, dy, x, list), x.shape), undefined];
    },
    traits: { constantInputs: [1] },
  },
  // Equal maxima share the gradient.
  ReduceMax: reduction(({ g, inputs: [x], outputs: [y], attributes: { axes }, dy }) => {
    const isMax = g.op('Cast', [g.op('Equal', [x, keptDims(g, y as Value, x, axes)])], { to: x.dtype });
    const count = g.sum(isMax, axes, 1);
    return [g.mul(g.div(isMax, count), keptDims(g, dy, x, axes))];
  }),
  ReduceMean: reduction(({ g, inputs: [x], attributes: { axes }, dy }) => {
    const count = axes.reduce((n, axis) => n * (x.shape[normalizeAxis(axis, x.shape.length)] as number), 1);
    return [expandTo(g, g.scale(keptDims(g, dy, x, axes), 1 / count), x.shape)];
  }),
  // d log Σ exp(x) = softmax(x)
  ReduceLogSumExp: reduction(({ g, inputs: [x], outputs: [y], attributes: { axes }, dy }) => [
    g.mul(keptDims(g, dy, x, axes), g.op('Exp', [g.sub(x, keptDims(g, y as Value, x, axes))])),
  ]),
  ReduceSumSquare: reduction(({ g, inputs: [x], attributes: { axes }, dy }) => [
    g.mul(g.scale(x, 2), keptDims(g, dy, x, axes)),
  ]),
};

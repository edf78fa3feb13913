/** Indexed reads and writes. */
import { internal } from '../errors/index.ts';
import { isStatic, normalizeAxis } from './value.ts';
import type { OpTable } from './entry.ts';

export const gather: OpTable<'Gather' | 'GatherElements' | 'ScatterElements'> = {
  // Rows of data [V, ...] picked by indices of any shape: y [...indices, ...rest].
  Gather: {
    attributes: { axis: 'int' },
    infer: ({ inputs: [data, indices], attributes: { axis } }) => {
      const at = normalizeAxis(axis, data.shape.length);
      return [
        { dtype: data.dtype, shape: [...data.shape.slice(0, at), ...indices.shape, ...data.shape.slice(at + 1)] },
      ];
    },
    // Rows are summed by ScatterElements, whose CPU kernel is exact when indices repeat; ScatterND(add) loses updates
    // with more than one thread (onnxruntime#18048, #23396).
    gradient: ({ g, inputs: [data, indices], attributes: { axis }, dy }) => {
      if (!isStatic(data.shape) || !isStatic(indices.shape))
        throw internal('the gradient of Gather needs static shapes');
      if (axis !== 0) throw internal('the gradient of Gather is defined on axis 0');
      const rest = data.shape.slice(1);
      const count = indices.shape.reduce((n, dim) => n * dim, 1);
      const column = g.reshape(indices, [count, ...rest.map(() => 1)]);
      const rows = g.op('Expand', [column, g.ints([count, ...rest])]);
      const updates = g.reshape(dy, [count, ...rest]);
      return [g.op('ScatterElements', [g.zeros(data.shape), rows, updates], { axis: 0, reduction: 'add' }), undefined];
    },
    traits: { constantInputs: [1] },
  },
  GatherElements: {
    attributes: { axis: 'int' },
    infer: ({ inputs: [data, indices] }) => [{ dtype: data.dtype, shape: indices.shape }],
    gradient: ({ g, inputs: [data, indices], attributes: { axis }, dy }) => {
      if (!isStatic(data.shape)) throw internal('the gradient of GatherElements needs a static shape');
      return [g.op('ScatterElements', [g.zeros(data.shape), indices, dy], { axis, reduction: 'add' }), undefined];
    },
    traits: { constantInputs: [1] },
  },
  ScatterElements: {
    attributes: { axis: 'int', reduction: 'string' },
    infer: ({ inputs: [data] }) => [{ dtype: data.dtype, shape: data.shape }],
    gradient: ({ g, inputs: [, indices], attributes: { axis, reduction }, dy }) => {
      if (reduction !== 'add') throw internal('the gradient of ScatterElements is defined for reduction add');
      return [dy, undefined, g.op('GatherElements', [dy, indices], { axis })];
    },
    traits: { constantInputs: [1] },
  },
};

/** Shape and order of elements. */
import { internal } from '../errors/index.ts';
import { elementCount, numbersOf, type Dim, type Shape, type Tensor } from '../graph/index.ts';
import { broadcastShapes } from './broadcast.ts';
import type { GraphBuilder } from './builder.ts';
import type { OpTable } from './entry.ts';
import { isStatic, normalizeAxis, type Value } from './value.ts';

function known(constant: Tensor | undefined, what: string): number[] {
  if (!constant) throw internal(`${what} must be a constant`);
  return numbersOf(constant);
}

function constantInts(g: GraphBuilder, value: Value, what: string): number[] {
  return known(g.constantOf(value), what);
}

/** Size of -1 in a Reshape: the elements over the other sizes, symbols cancelled against symbols. */
function remaining(from: Shape, to: readonly Dim[]): Dim {
  const left = [...from];
  let divisor = 1;
  for (const dim of to) {
    if (dim === -1) continue;
    const match = typeof dim === 'string' ? left.indexOf(dim) : -1;
    if (match >= 0) left.splice(match, 1);
    else divisor *= dim as number;
  }
  const symbols = left.filter((dim) => typeof dim === 'string');
  const size = left.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 1), 1) / divisor;
  return symbols.length === 0 ? size : [...symbols, ...(size === 1 ? [] : [size])].join('*');
}

function reshaped(from: Shape, target: readonly number[]): Shape {
  const fail = () => internal(`[${from.join(',')}] cannot be reshaped to [${target.join(',')}]`);
  if (target.some((dim, i) => dim === 0 && i >= from.length)) throw fail();
  const copied = target.map((dim, i): Dim => (dim === 0 ? (from[i] as Dim) : dim));
  const shape = copied.map((dim) => (dim === -1 ? remaining(from, copied) : dim));
  const fits = !isStatic(from) || !isStatic(shape) || elementCount(from) === elementCount(shape);
  if (!fits || shape.some((dim) => typeof dim === 'number' && !Number.isInteger(dim))) throw fail();
  return shape;
}

/** A symbol may have any size at run time. */
function canBeEqual(a: Shape, b: Shape): boolean {
  return (
    a.length === b.length && a.every((dim, i) => dim === b[i] || typeof dim === 'string' || typeof b[i] === 'string')
  );
}

function staticShape(value: Value): readonly number[] {
  if (!isStatic(value.shape)) throw internal(`a gradient needs the static shape of ${value.name}`);
  return value.shape;
}

/** [start, end) per axis of x for a Slice with step 1, clamped as ONNX does. */
function sliceRanges(dims: readonly number[], starts: number[], ends: number[], axes: number[]): [number, number][] {
  const ranges = dims.map((dim): [number, number] => [0, dim]);
  axes.forEach((axis, i) => {
    const at = normalizeAxis(axis, dims.length);
    const dim = dims[at] as number;
    const clamp = (index: number) => Math.min(Math.max(index < 0 ? index + dim : index, 0), dim);
    ranges[at] = [clamp(starts[i] as number), clamp(ends[i] as number)];
  });
  return ranges;
}

export const layout: OpTable<
  | 'Concat'
  | 'ConstantOfShape'
  | 'Expand'
  | 'Pad'
  | 'Reshape'
  | 'Shape'
  | 'Slice'
  | 'Squeeze'
  | 'Transpose'
  | 'Unsqueeze'
> = {
  Concat: {
    attributes: { axis: 'int' },
    infer: ({ inputs, attributes: { axis } }) => {
      const first = inputs[0] as Value;
      const at = normalizeAxis(axis, first.shape.length);
      const size = inputs
        .map(({ shape }) => shape[at] as Dim)
        .reduce((sum, dim) => (typeof sum === 'number' && typeof dim === 'number' ? sum + dim : `${sum}+${dim}`));
      const rest = ({ shape }: Value) => shape.filter((_, i) => i !== at);
      if (inputs.some((input) => input.dtype !== first.dtype || !canBeEqual(rest(input), rest(first))))
        throw internal(`Concat of ${inputs.map(({ dtype, shape }) => `${dtype} [${shape.join(',')}]`).join(', ')}`);
      return [{ dtype: first.dtype, shape: first.shape.map((dim, i) => (i === at ? size : dim)) }];
    },
    gradient: ({ g, inputs, attributes: { axis }, dy, needs }) => {
      let start = 0;
      return inputs.map((input, i) => {
        const end = start + (staticShape(input)[normalizeAxis(axis, input.shape.length)] as number);
        const range = [g.ints([start]), g.ints([end]), g.ints([axis])] as const;
        start = end;
        return needs(i) ? g.op('Slice', [dy, ...range]) : undefined;
      });
    },
    traits: {},
  },
  ConstantOfShape: {
    attributes: { value: 'tensor' },
    infer: ({ inputs: [shape], attributes: { value }, constant }) => [
      { dtype: value.dtype, shape: known(constant(shape), 'the shape of ConstantOfShape') },
    ],
    gradient: 'none',
    traits: { constantInputs: [0] },
  },
  // Broadcasting, as a node: the walk sums the gradient down to the shape of x.
  Expand: {
    attributes: {},
    infer: ({ inputs: [x, shape], constant }) => [
      { dtype: x.dtype, shape: broadcastShapes(x.shape, known(constant(shape), 'the shape of Expand')) },
    ],
    gradient: ({ dy }) => [dy, undefined],
    traits: { constantInputs: [1] },
  },
  // Constant padding by pads = [begin per axis, end per axis].
  Pad: {
    attributes: {},
    infer: ({ inputs: [x, pads], constant }) => {
      const list = known(constant(pads), 'the pads');
      const shape = x.shape.map((dim, i): Dim => {
        const extra = (list[i] as number) + (list[i + x.shape.length] as number);
        return typeof dim === 'number' ? dim + extra : extra === 0 ? dim : `${dim}+${extra}`;
      });
      return [{ dtype: x.dtype, shape }];
    },
    gradient: ({ g, inputs: [x, pads], dy }) => {
      const begins = constantInts(g, pads, 'the pads').slice(0, x.shape.length);
      const ends = staticShape(x).map((dim, i) => dim + (begins[i] as number));
      return [g.op('Slice', [dy, g.ints(begins), g.ints(ends), g.ints(begins.map((_, i) => i))]), undefined, undefined];
    },
    traits: { constantInputs: [1, 2] },
  },
  Reshape: {
    attributes: {},
    infer: ({ inputs: [x, shape], constant }) => [
      { dtype: x.dtype, shape: reshaped(x.shape, known(constant(shape), 'the shape of Reshape')) },
    ],
    gradient: ({ g, inputs: [x], dy }) => [g.reshape(dy, staticShape(x)), undefined],
    traits: { constantInputs: [1] },
  },
  Shape: {
    attributes: { start: 'int', end: 'int' },
    infer: ({ inputs: [x], attributes: { start = 0, end = x.shape.length } }) => [
      { dtype: 'int64', shape: [x.shape.slice(start, end).length] },
    ],
    gradient: 'none',
    traits: { constantInputs: [0] },
  },
  // Step 1 only. An end that is computed gives a size that is known at run time only.
  Slice: {
    attributes: {},
    infer: ({ inputs: [x, starts, ends, axes], constant }) => {
      const axisList = known(constant(axes), 'the axes of Slice');
      const [startList, endList] = [constant(starts), constant(ends)];
      if (startList && endList && isStatic(x.shape)) {
        const ranges = sliceRanges(x.shape, numbersOf(startList), numbersOf(endList), axisList);
        return [{ dtype: x.dtype, shape: ranges.map(([start, end]) => Math.max(0, end - start)) }];
      }
      const sliced = new Set(axisList.map((axis) => normalizeAxis(axis, x.shape.length)));
      return [{ dtype: x.dtype, shape: x.shape.map((dim, i) => (sliced.has(i) ? `${ends.name}[${i}]` : dim)) }];
    },
    gradient: ({ g, inputs: [x, starts, ends, axes], dy }) => {
      const dims = staticShape(x);
      const lists = [starts, ends, axes].map((input) => constantInts(g, input, 'the range of Slice'));
      const ranges = sliceRanges(dims, ...(lists as [number[], number[], number[]]));
      const pads = [...ranges.map(([start]) => start), ...ranges.map(([, end], i) => (dims[i] as number) - end)];
      return [g.op('Pad', [dy, g.ints(pads), g.scalar(0)]), undefined, undefined, undefined];
    },
    traits: { constantInputs: [1, 2, 3] },
  },
  Squeeze: {
    attributes: {},
    infer: ({ inputs: [x, axes], constant }) => {
      const removed = new Set(
        known(constant(axes), 'the axes of Squeeze').map((axis) => normalizeAxis(axis, x.shape.length)),
      );
      return [{ dtype: x.dtype, shape: x.shape.filter((_, i) => !removed.has(i)) }];
    },
    gradient: ({ g, inputs: [, axes], dy }) => [g.op('Unsqueeze', [dy, axes]), undefined],
    traits: { constantInputs: [1] },
  },
  Transpose: {
    attributes: { perm: 'ints' },
    infer: ({ inputs: [x], attributes: { perm } }) => {
      if (perm.length !== x.shape.length || x.shape.some((_, axis) => !perm.includes(axis)))
        throw internal(`perm [${perm.join(',')}] on [${x.shape.join(',')}]`);
      return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis] as Dim) }];
    },
    gradient: ({ g, attributes: { perm }, dy }) => {
      const inverse = perm.map((_, axis) => perm.indexOf(axis));
      return [g.transpose(dy, inverse)];
    },
    traits: {},
  },
  Unsqueeze: {
    attributes: {},
    infer: ({ inputs: [x, axes], constant }) => {
      const list = known(constant(axes), 'the axes of Unsqueeze');
      const rank = x.shape.length + list.length;
      const added = new Set(list.map((axis) => normalizeAxis(axis, rank)));
      const rest = x.shape.values();
      return [
        {
          dtype: x.dtype,
          shape: Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (rest.next().value as Dim))),
        },
      ];
    },
    gradient: ({ g, inputs: [, axes], dy }) => [g.op('Squeeze', [dy, axes]), undefined],
    traits: { constantInputs: [1] },
  },
};

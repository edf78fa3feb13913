/** Shape and order of elements. */
import { numbersOf } from 'kdx/graph';
import { broadcastShapes } from 'kdx/ops';
import { held } from '../element-types.ts';
import { frontAxis, type KernelTable } from './kernel.ts';

type Layout =
  | 'Concat'
  | 'ConstantOfShape'
  | 'Expand'
  | 'Pad'
  | 'Reshape'
  | 'Shape'
  | 'Slice'
  | 'Squeeze'
  | 'Transpose'
  | 'Unsqueeze';

export const layout: KernelTable<Layout> = {
  Concat({ tf, inputs, attributes: { axis = 0 } }) {
    return tf.concat(inputs, frontAxis(axis, inputs[0]?.shape.length ?? 0));
  },
  ConstantOfShape({ tf, inputs: [shape], attributes: { value }, ints }) {
    const [fill = 0] = value ? numbersOf(value) : [];
    return tf.fill(ints(shape), fill, held(value?.dtype ?? 'float32'));
  },
  // Both sides broadcast: a 1 in the shape keeps the size of x.
  Expand({ tf, inputs: [x, shape], ints }) {
    return tf.broadcastTo(x, broadcastShapes(x.shape, ints(shape)) as readonly number[]);
  },
  Pad({ tf, inputs, ints }) {
    const [x, pads, value] = inputs;
    const [rank, list] = [x.shape.length, ints(pads)];
    const pairs = x.shape.map((_, i) => [list[i] ?? 0, list[i + rank] ?? 0] as const);
    if (list.some((pad) => pad < 0)) throw new Error('negative pads are not supported');
    return tf.pad(x, pairs, value ? (value.dataSync()[0] ?? 0) : 0);
  },
  // 0 copies a size, -1 takes what remains.
  Reshape({ tf, inputs: [x, shape], ints }) {
    const target = ints(shape).map((dim, i) => (dim === 0 ? (x.shape[i] ?? 0) : dim));
    return tf.reshape(x, target);
  },
  Shape({ tf, inputs: [x], attributes: { start = 0, end } }) {
    const dims = x.shape.slice(start, end);
    return tf.tensor(dims, [dims.length], 'int32');
  },
  Slice({ tf, inputs, ints }) {
    const [x, starts, ends, axes, steps] = inputs as readonly (typeof inputs)[number][];
    if (!x || !starts || !ends) throw new Error('an input is missing');
    const [startList, endList] = [ints(starts), ints(ends)];
    const axisList = axes ? ints(axes) : startList.map((_, i) => i);
    if (steps && ints(steps).some((step) => step !== 1)) throw new Error('only steps of 1 are supported');
    const begin = x.shape.map(() => 0);
    const size = [...x.shape];
    axisList.forEach((axis, i) => {
      const at = frontAxis(axis, x.shape.length);
      const dim = x.shape[at] as number;
      const clamp = (index = 0) => Math.min(Math.max(index < 0 ? index + dim : index, 0), dim);
      begin[at] = clamp(startList[i]);
      size[at] = Math.max(0, clamp(endList[i]) - begin[at]);
    });
    return tf.slice(x, begin, size);
  },
  Squeeze({ tf, inputs, ints }) {
    const [x, axes]: readonly [(typeof inputs)[0], (typeof inputs)[1]?] = inputs;
    const removed = new Set(axes && ints(axes).map((axis) => frontAxis(axis, x.shape.length)));
    const isKept = (dim: number, i: number) => (axes ? !removed.has(i) : dim !== 1);
    return tf.reshape(x, x.shape.filter(isKept));
  },
  Transpose({ tf, inputs: [x], attributes: { perm } }) {
    return tf.transpose(x, perm ?? x.shape.map((_, i) => x.shape.length - 1 - i));
  },
  Unsqueeze({ tf, inputs: [x, axes], ints }) {
    const list = ints(axes);
    const rank = x.shape.length + list.length;
    const added = new Set(list.map((axis) => frontAxis(axis, rank)));
    const rest = x.shape.values();
    return tf.reshape(
      x,
      Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (rest.next().value as number))),
    );
  },
};

/** Indexed reads and writes. */
import { elementCount } from 'kdx/graph';
import type { TensorFlow, TfTensor } from '../tensorflow.ts';
import { frontAxis, int, type KernelTable } from './kernel.ts';

export const gather: KernelTable<'Gather' | 'GatherElements' | 'ScatterElements'> = {
  Gather({ tf, inputs: [data, indices], attributes: { axis = 0 } }) {
    const at = frontAxis(axis, data.shape.length);
    const flat = flattened(tf, fromFront(tf, indices, data.shape[at] as number));
    const shape = [...data.shape.slice(0, at), ...indices.shape, ...data.shape.slice(at + 1)];
    return tf.reshape(tf.gather(data, flat, at), shape);
  },
  GatherElements({ tf, inputs: [data, indices], attributes: { axis = 0 } }) {
    const found = tf.gather(flattened(tf, data), positions(tf, data.shape, indices, axis), 0);
    return tf.reshape(found, indices.shape);
  },
  ScatterElements({ tf, inputs: [data, indices, updates], attributes: { axis = 0, reduction = 'none' } }) {
    if (!['none', 'add'].includes(reduction)) throw new Error(`reduction ${reduction} is not supported`);
    const at = positions(tf, data.shape, indices, axis);
    const column = tf.reshape(at, [elementCount(at.shape), 1]);
    const values = flattened(tf, updates);
    if (reduction === 'none')
      return tf.reshape(tf.tensorScatterUpdate(flattened(tf, data), column, values), data.shape);
    const sums = tf.scatterND(column, values, [elementCount(data.shape)]);
    return tf.add(data, tf.reshape(sums, data.shape));
  },
};

/** Places in the flattened data: each index times the stride of its axis, plus the own place along the other axes. */
function positions(tf: TensorFlow, shape: readonly number[], indices: TfTensor, axis: number): TfTensor {
  const at = frontAxis(axis, shape.length);
  const stride = (i: number) => elementCount(shape.slice(i + 1));
  const along = tf.mul(fromFront(tf, indices, shape[at] as number), int(tf, stride(at)));
  const all = indices.shape.reduce((sum, size, i) => {
    if (i === at || size <= 1) return sum;
    const places = tf.range(0, size * stride(i), stride(i), 'int32');
    return tf.add(sum, tf.reshape(places, [size, ...indices.shape.slice(i + 1).map(() => 1)]));
  }, along);
  return flattened(tf, all);
}

/** Negative indices count from the end. */
function fromFront(tf: TensorFlow, indices: TfTensor, size: number): TfTensor {
  return tf.where(tf.less(indices, int(tf, 0)), tf.add(indices, int(tf, size)), indices);
}

function flattened(tf: TensorFlow, x: TfTensor): TfTensor {
  return tf.reshape(x, [elementCount(x.shape)]);
}

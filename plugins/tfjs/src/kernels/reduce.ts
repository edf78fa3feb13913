/** Reductions over axes. */
import { elementCount } from 'kdx/graph';
import type { TensorFlow, TfTensor } from '../tensorflow.ts';
import { frontAxis, type Kernel, type KernelTable } from './kernel.ts';

type Compute = (tf: TensorFlow, x: TfTensor, axes: readonly number[] | undefined, keep: boolean) => TfTensor;
type AxesReduction = 'ReduceLogSumExp' | 'ReduceMax' | 'ReduceMean' | 'ReduceSumSquare';

const reduction =
  (compute: Compute): Kernel<AxesReduction> =>
  ({ tf, inputs: [x], attributes: { axes = [], keepdims = 1 } }) =>
    compute(tf, x, allIfNone(axes), keepdims !== 0);

/** No axes mean all of them. */
function allIfNone(axes: readonly number[]): readonly number[] | undefined {
  return axes.length > 0 ? axes : undefined;
}

/** On WebAssembly `tf.sum` of no elements gives what was in memory. */
const sum: Compute = (tf, x, axes, keep) => {
  if (elementCount(x.shape) > 0) return tf.sum(x, axes, keep);
  const reduced = new Set(axes?.map((axis) => frontAxis(axis, x.shape.length)) ?? x.shape.keys());
  const shape = x.shape.flatMap((dim, i) => (!reduced.has(i) ? [dim] : keep ? [1] : []));
  return tf.fill(shape, 0, x.dtype);
};

export const reduce: KernelTable<AxesReduction | 'ReduceSum'> = {
  ReduceLogSumExp: reduction((tf, x, axes, keep) => tf.logSumExp(x, axes, keep)),
  ReduceMax: reduction((tf, x, axes, keep) => tf.max(x, axes, keep)),
  ReduceMean: reduction((tf, x, axes, keep) => tf.mean(x, axes, keep)),
  ReduceSumSquare: reduction((tf, x, axes, keep) => sum(tf, tf.square(x), axes, keep)),
  ReduceSum({ tf, inputs, attributes: { keepdims = 1 }, ints }) {
    const [x, axes]: readonly [TfTensor, TfTensor?] = inputs;
    return sum(tf, x, allIfNone(axes ? ints(axes) : []), keepdims !== 0);
  },
};

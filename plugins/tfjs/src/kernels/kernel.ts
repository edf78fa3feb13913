/** What computes one operator. */
import type { AttributesOf, InputsOf, OpType } from 'kdx/ops';
import type { TensorFlow, TfTensor } from '../tensorflow.ts';

type TensorsOf<Inputs extends readonly unknown[]> = {
  readonly [K in keyof Inputs]: undefined extends Inputs[K] ? TfTensor | undefined : TfTensor;
};

export interface KernelCall<T extends OpType> {
  readonly tf: TensorFlow;
  /** An input that is left out is undefined. */
  readonly inputs: TensorsOf<InputsOf<T>>;
  /** As the node has them: what ONNX gives a default may be missing. */
  readonly attributes: Partial<AttributesOf<T>>;
  /** Values of a small integer tensor, without a transfer when it is a constant. */
  ints(value: TfTensor): readonly number[];
}

/** Gives new tensors, in the order of the node's outputs. It runs inside `tidy`. */
export type Kernel<T extends OpType> = (call: KernelCall<T>) => TfTensor | readonly TfTensor[];

export type KernelTable<T extends OpType = OpType> = { readonly [K in T]: Kernel<K> };

/** Axis counted from the front. */
export function frontAxis(axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) throw new Error(`axis ${axis} of ${rank} axes`);
  return axis < 0 ? axis + rank : axis;
}

export function int(tf: TensorFlow, value: number): TfTensor {
  return tf.tensor([value], [], 'int32');
}

export function float(tf: TensorFlow, value: number): TfTensor {
  return tf.tensor([value], [], 'float32');
}

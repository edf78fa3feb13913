/** Element types: TensorFlow.js has float32, int32 and bool. All integers are held as int32, and checked to fit. */
import { allocate, type DType, type Tensor } from 'kdx/graph';
import type { Held, TensorFlow, TfArray, TfTensor } from './tensorflow.ts';

const heldAs: { readonly [T in DType]?: Held } = {
  float32: 'float32',
  bool: 'bool',
  int8: 'int32',
  uint8: 'int32',
  int16: 'int32',
  uint16: 'int32',
  int32: 'int32',
  int64: 'int32',
};

/** @throws Error when TensorFlow.js has nothing that holds it */
export function held(dtype: DType): Held {
  const found = heldAs[dtype];
  if (!found) throw new Error(`TensorFlow.js has no ${dtype}`);
  return found;
}

/** The tensor may keep the array. @throws Error for an int64 beyond int32 */
export function toTf(tf: TensorFlow, { dtype, dims, data }: Tensor): TfTensor {
  const type = held(dtype);
  const isSame = dtype === type;
  return tf.tensor(isSame ? (data as TfArray) : int32Of(data as ArrayLike<number | bigint>), dims, type);
}

function int32Of(values: ArrayLike<number | bigint>): Int32Array {
  return Int32Array.from(values, (value) => {
    const number = Number(value);
    if (number !== (number | 0)) throw new Error(`TensorFlow.js has no int64, and ${value} does not fit in int32`);
    return number;
  });
}

/** A copy on the host. @throws Error for a number that the type cannot hold */
export function fromTf(value: TfTensor, dtype: DType): Tensor {
  const type = held(dtype);
  if (value.dtype !== type) throw new Error(`internal: a ${dtype} is held as ${value.dtype}`);
  const found = value.dataSync();
  const dims = [...value.shape];
  if (dtype === 'int64') return { dtype, dims, data: BigInt64Array.from(found, BigInt) };
  const data = allocate(dtype as 'int8', found.length);
  data.set(found);
  const changed = type === 'int32' ? found.findIndex((number, i) => number !== data[i]) : -1;
  if (changed >= 0) throw new Error(`${found[changed]} does not fit in ${dtype}`);
  return { dtype, dims, data };
}

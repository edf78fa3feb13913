/** Tensors: plain data, row-major, in the element types of ONNX. */
import { internal } from '../errors/index.ts';

/** ONNX element types by their TensorProto names in lower case, with numpy's spelling for floats. */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int4'
  | 'uint4'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string';

/** The array that holds a dtype. float16 and bfloat16 are raw bits; int4 and uint4 are packed, low nibble first. */
export interface TensorArrays {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int4: Uint8Array;
  uint4: Uint8Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
  string: readonly string[];
}

export type TensorData = TensorArrays[DType];

/** A dense tensor; `data.length` is the product of `dims` (half of it, rounded up, for 4-bit types). */
export interface Tensor<T extends DType = DType> {
  readonly dtype: T;
  readonly dims: readonly number[];
  readonly data: TensorArrays[T];
}

/** TensorProto.DataType numbers. */
export const dtypeCodes: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
};

/** Bits of one element in memory and on disk; strings have none. */
export const dtypeBits: Readonly<Record<Exclude<DType, 'string'>, number>> = {
  float32: 32,
  float64: 64,
  float16: 16,
  bfloat16: 16,
  int4: 4,
  uint4: 4,
  int8: 8,
  uint8: 8,
  int16: 16,
  uint16: 16,
  int32: 32,
  uint32: 32,
  int64: 64,
  uint64: 64,
  bool: 8,
};

const constructors = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int4: Uint8Array,
  uint4: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Array length that holds `count` elements of a dtype. */
export function storageLength(dtype: DType, count: number): number {
  return dtype === 'int4' || dtype === 'uint4' ? Math.ceil(count / 2) : count;
}

/** Bytes that a tensor of this dtype and shape takes in a file. */
export function byteLength(dtype: DType, dims: readonly number[]): number {
  if (dtype === 'string') throw internal('a string tensor has no byte length');
  return Math.ceil((elementCount(dims) * dtypeBits[dtype]) / 8);
}

/** A zero-filled array for `count` elements. */
export function allocate<T extends Exclude<DType, 'string'>>(dtype: T, count: number): TensorArrays[T] {
  return new constructors[dtype](storageLength(dtype, count)) as TensorArrays[T];
}

/** A view of raw little-endian bytes as the array of a dtype; copies only when the bytes are not aligned. */
export function viewBytes<T extends Exclude<DType, 'string'>>(dtype: T, bytes: Uint8Array): TensorArrays[T] {
  const type = constructors[dtype];
  const size = type.BYTES_PER_ELEMENT;
  if (bytes.byteLength % size !== 0) throw internal(`${bytes.byteLength} bytes are not whole ${dtype} elements`);
  // Not slice(): that of a Node Buffer is a view.
  const source = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new type(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength / size) as TensorArrays[T];
}

/** The raw little-endian bytes of a tensor's data, without a copy. */
export function bytesOf(tensor: Tensor): Uint8Array {
  if (tensor.dtype === 'string') throw internal('a string tensor has no raw bytes');
  const data = tensor.data as Exclude<TensorData, readonly string[]>;
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** A tensor from its parts; throws when the length does not match the shape. */
export function tensor<T extends DType>(dtype: T, dims: readonly number[], data: TensorArrays[T]): Tensor<T> {
  const expected = storageLength(dtype, elementCount(dims));
  if (data.length !== expected)
    throw internal(`${dtype} tensor [${dims.join(',')}] needs ${expected} elements, got ${data.length}`);
  return { dtype, dims, data };
}

/** A tensor of numbers; int64 and uint64 are converted to bigint. */
export function tensorOf<T extends Exclude<DType, 'string' | 'float16' | 'bfloat16' | 'int4' | 'uint4'>>(
  dtype: T,
  dims: readonly number[],
  values: ArrayLike<number>,
): Tensor<T> {
  const data = allocate(dtype, values.length) as unknown as { [index: number]: number | bigint };
  const big = dtype === 'int64' || dtype === 'uint64';
  for (let i = 0; i < values.length; i++) data[i] = big ? BigInt(values[i] as number) : (values[i] as number);
  return tensor(dtype, dims, data as unknown as TensorArrays[T]);
}

/** Elements as plain numbers, for small tensors in rules and tests. */
export function numbersOf(value: Tensor): number[] {
  if (value.dtype === 'string' || dtypeBits[value.dtype] === 4) throw internal(`no numbers in ${value.dtype}`);
  if (value.dtype === 'float16' || value.dtype === 'bfloat16') throw internal(`${value.dtype} holds raw bits`);
  return Array.from(value.data as ArrayLike<number | bigint>, Number);
}

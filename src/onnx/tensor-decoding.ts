/** TensorProto to Tensor: raw, typed and external data. */
import { allocate, dtypeBits, storageLength, tensor, viewBytes } from '../graph/index.ts';
import type { DType, Tensor, TensorArrays } from '../graph/index.ts';
import type { ReadExternal } from './external-files.ts';
import { corrupt, unsupported } from './faults.ts';
import { dtypeOfCode, type onnx } from './proto.ts';

/** Where a model comes from: its name in messages, and its external data where that can be reached. */
export interface Source {
  readonly file: string;
  readonly readExternal: ReadExternal | undefined;
}

type Int64 = number | { readonly low: number; readonly high: number };
type Numeric = Exclude<DType, 'string'>;

const EXTERNAL = 1;

/** @throws KdxError `corrupt-onnx` when the integer is beyond 2^53 and so no exact number. */
export function safeInteger(value: Int64, file: string, what: string): number {
  const result = typeof value === 'number' ? value : value.high * 2 ** 32 + (value.low >>> 0);
  if (!Number.isSafeInteger(result)) throw corrupt(file, `${what} is ${result}, too large to be held exactly`);
  return result;
}

/** Text of a bytes field. @throws KdxError `unsupported-onnx` when it is not UTF-8. */
export function textOf(bytes: Uint8Array, file: string, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw unsupported(file, `${what} is not UTF-8 text`);
  }
}

/** The named element type. @throws KdxError `unsupported-onnx` */
export function dtypeOrFail(code: number, file: string, what: string): DType {
  const dtype = dtypeOfCode(code);
  if (!dtype) throw unsupported(file, `${what} has ONNX element type ${code}, which kdx does not hold`);
  return dtype;
}

/** Axes of a tensor; more are a lie that would fill messages. */
const MAX_RANK = 64;

/** @throws KdxError `corrupt-onnx` */
export function checkRank(rank: number, file: string, label: string): void {
  if (rank > MAX_RANK) throw corrupt(file, `${label} has ${rank} dimensions, at most ${MAX_RANK} are possible`);
}

function dimsOf(message: onnx.ITensorProto, file: string, label: string): { dims: number[]; count: number } {
  checkRank(message.dims?.length ?? 0, file, label);
  const dims = (message.dims ?? []).map((dim) => safeInteger(dim, file, `a dimension of ${label}`));
  if (dims.some((dim) => dim < 0)) throw corrupt(file, `${label} has shape [${dims.join(',')}]`);
  const count = dims.includes(0) ? 0 : dims.reduce((product, dim) => product * dim, 1);
  if (!Number.isSafeInteger(count * 8)) throw corrupt(file, `${label} has too many elements: [${dims.join(',')}]`);
  return { dims, count };
}

/** The typed field that holds a dtype when there is no raw data. Half floats and packed 4-bit pairs are in int32_data. */
function typedField(message: onnx.ITensorProto, dtype: Numeric): readonly Int64[] {
  switch (dtype) {
    case 'float32':
      return message.floatData ?? [];
    case 'float64':
      return message.doubleData ?? [];
    case 'int64':
      return message.int64Data ?? [];
    case 'uint32':
    case 'uint64':
      return message.uint64Data ?? [];
    default:
      return message.int32Data ?? [];
  }
}

function typedArray<T extends Numeric>(values: readonly Int64[], dtype: T, count: number): TensorArrays[T] {
  const data = allocate(dtype, count);
  // The low word first: typed arrays are little-endian on every machine that Node runs on.
  const words = dtype === 'int64' || dtype === 'uint64' ? new Int32Array(data.buffer) : undefined;
  const elements = data as unknown as number[];
  values.forEach((value, i) => {
    const low = typeof value === 'number' ? value : value.low;
    if (!words) elements[i] = low;
    else {
      words[2 * i] = low;
      words[2 * i + 1] = typeof value === 'number' ? Math.floor(value / 2 ** 32) : value.high;
    }
  });
  return data;
}

function externalBytes(message: onnx.ITensorProto, expected: number, source: Source, label: string): Uint8Array {
  const entries = new Map((message.externalData ?? []).map((entry) => [entry.key ?? '', entry.value ?? '']));
  const read = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value))
      throw corrupt(source.file, `${label} has external ${key} ${JSON.stringify(text)}`);
    return value;
  };
  const location = entries.get('location');
  if (location === undefined) throw corrupt(source.file, `${label} is external, but has no location`);
  const offset = read('offset') ?? 0;
  const length = read('length') ?? expected;
  if (length !== expected)
    throw corrupt(source.file, `${label} needs ${expected} bytes, its external data has ${length}`);
  if (!source.readExternal)
    throw unsupported(source.file, `${label} is in the file ${location}, but the model is read without a folder`);
  return source.readExternal(location, offset, expected, message.name ?? '');
}

/**
 * A tensor of its own memory (external tensors of one range share theirs).
 * @param where names the tensor in messages when it has no name itself.
 * @throws KdxError `corrupt-onnx`, `unsupported-onnx`, and those of external data
 */
export function decodeTensor(message: onnx.ITensorProto, source: Source, where: string): Tensor {
  const { file } = source;
  const label = message.name ? `tensor ${message.name}` : `the tensor of ${where}`;
  if (message.segment) throw unsupported(file, `${label} is stored in segments`);
  const dtype = dtypeOrFail(message.dataType ?? 0, file, label);
  const { dims, count } = dimsOf(message, file, label);
  const type = `${dtype}[${dims.join(',')}]`;
  const sized = (length: number, expected: number, unit: string) => {
    if (length !== expected) throw corrupt(file, `${label} is ${type}, needs ${expected} ${unit} and has ${length}`);
  };
  const external = message.dataLocation === EXTERNAL;
  const raw = message.rawData ?? new Uint8Array();
  if (dtype === 'string') {
    if (external || raw.length > 0) throw corrupt(file, `${label} holds strings as raw data`);
    const strings = message.stringData ?? [];
    sized(strings.length, count, 'strings');
    return tensor(
      dtype,
      dims,
      strings.map((bytes) => textOf(bytes, file, `a string of ${label}`)),
    );
  }
  const byteCount = Math.ceil((count * dtypeBits[dtype]) / 8);
  if (external) return tensor(dtype, dims, viewBytes(dtype, externalBytes(message, byteCount, source, label)));
  const values = typedField(message, dtype);
  if (raw.length > 0 || values.length === 0) {
    sized(raw.length, byteCount, 'bytes');
    return tensor(dtype, dims, viewBytes(dtype, new Uint8Array(raw)));
  }
  sized(values.length, storageLength(dtype, count), 'numbers');
  return tensor(dtype, dims, typedArray(values, dtype, count));
}

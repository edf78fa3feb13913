/**
 * The C API of ONNX Runtime through koffi. The functions are found by their place in struct OrtApi, an append-only table
 * (onnxruntime/core/session/onnxruntime_c_api.cc, "DO NOT MODIFY ABOVE"); all used here are in it since version 16 or before.
 */
import type { DType } from '../graph/index.ts';
import { internal } from '../errors/index.ts';
import type { Koffi } from './library.ts';

/** An address in this process. */
export type Pointer = bigint;
export const NULL: Pointer = 0n;

/** Version of the table that is asked for; a newer library gives the same places. */
const API_VERSION = 18;
const POINTER_BYTES = 8;

/** ORTCHAR_T: the type of file names. */
const path = process.platform === 'win32' ? 'str16' : 'str';
const p = 'void *';

/** Functions that return an OrtStatus: place and parameters. */
const statusFunctions = {
  CreateEnv: [3, ['int', 'str', p]],
  CreateSession: [7, [p, path, p, p]],
  CreateSessionFromArray: [8, [p, p, 'size_t', p, p]],
  Run: [9, [p, p, p, p, 'size_t', p, 'size_t', p]],
  CreateSessionOptions: [10, [p]],
  SetOptimizedModelFilePath: [11, [p, path]],
  SetSessionExecutionMode: [13, [p, 'int']],
  DisableMemPattern: [17, [p]],
  SetSessionLogSeverityLevel: [22, [p, 'int']],
  SetSessionGraphOptimizationLevel: [23, [p, 'int']],
  SetIntraOpNumThreads: [24, [p, 'int']],
  SetInterOpNumThreads: [25, [p, 'int']],
  SessionGetInputCount: [30, [p, p]],
  SessionGetOutputCount: [31, [p, p]],
  SessionGetInputTypeInfo: [33, [p, 'size_t', p]],
  SessionGetOutputTypeInfo: [34, [p, 'size_t', p]],
  SessionGetInputName: [36, [p, 'size_t', p, p]],
  SessionGetOutputName: [37, [p, 'size_t', p, p]],
  CreateRunOptions: [39, [p]],
  RunOptionsSetTerminate: [46, [p]],
  CreateTensorAsOrtValue: [48, [p, p, 'size_t', 'int', p]],
  CreateTensorWithDataAsOrtValue: [49, [p, p, 'size_t', p, 'size_t', 'int', p]],
  GetTensorMutableData: [51, [p, p]],
  CastTypeInfoToTensorInfo: [55, [p, p]],
  GetTensorElementType: [60, [p, p]],
  GetDimensionsCount: [61, [p, p]],
  GetDimensions: [62, [p, p, 'size_t']],
  GetSymbolicDimensions: [63, [p, p, 'size_t']],
  GetTensorTypeAndShape: [65, [p, p]],
  CreateMemoryInfo: [68, ['str', 'int', 'int', 'int', p]],
  CreateCpuMemoryInfo: [69, ['int', 'int', p]],
  AllocatorFree: [76, [p, p]],
  GetAllocatorWithDefaultOptions: [78, [p]],
  AddSessionConfigEntry: [130, [p, 'str', 'str']],
  CreateAllocator: [131, [p, p, p]],
  CreateAndRegisterAllocator: [144, [p, p, p]],
  CreateArenaCfgV2: [164, [p, p, 'size_t', p]],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, [p, p]],
  CreateCUDAProviderOptions: [205, [p]],
  UpdateCUDAProviderOptions: [206, [p, p, p, 'size_t']],
  SessionOptionsAppendExecutionProvider: [216, [p, 'str', p, p, 'size_t']],
  CreateAndRegisterAllocatorV2: [259, [p, 'str', p, p, p, p, 'size_t']],
} as const;

/** Functions that free an object and return nothing. */
const releaseFunctions = {
  ReleaseEnv: 92,
  ReleaseMemoryInfo: 94,
  ReleaseSession: 95,
  ReleaseValue: 96,
  ReleaseRunOptions: 97,
  ReleaseTypeInfo: 98,
  ReleaseTensorTypeAndShapeInfo: 99,
  ReleaseSessionOptions: 100,
  ReleaseAllocator: 132,
  ReleaseArenaCfg: 157,
  ReleaseCUDAProviderOptions: 208,
} as const;

type Argument = Pointer | number | string | ArrayBufferView;
type StatusFunction = keyof typeof statusFunctions;

export interface OrtApi {
  /** Kept: koffi unloads a library when its handle is collected, and the functions of the table hold none. */
  readonly handle: object;
  readonly version: string;
  /** Calls a function that returns a status. @throws Error with the message of the status */
  call(name: StatusFunction, ...args: Argument[]): void;
  /** Calls one whose last parameter receives a pointer or a size, and returns that. */
  get(name: StatusFunction, ...args: Argument[]): Pointer;
  release(name: keyof typeof releaseFunctions, object: Pointer): void;
  /**
   * Address of an array's memory, for what ONNX Runtime keeps after the call: the caller must hold the array as long. For
   * a single call give the array itself: an array of which only the address is left may be collected before the call.
   * Never NULL, which ONNX Runtime refuses.
   */
  addressOf(data: ArrayBufferView): Pointer;
  /** A view of native memory. */
  view(address: Pointer, bytes: number): ArrayBuffer;
  stringAt(address: Pointer): string;
}

/** Opens the table of a library. The library stays loaded as long as the result lives. */
export function openOrtApi(koffi: Koffi, library: string): OrtApi {
  const handle = koffi.load(library);
  const base = handle.func('OrtGetApiBase', p, [])() as Pointer;
  const functionAt = (table: Pointer, place: number, result: string, parameters: readonly string[]) =>
    koffi.decode(koffi.decode(table, place * POINTER_BYTES, p) as Pointer, koffi.proto(result, [...parameters])) as (
      ...args: Argument[]
    ) => unknown;
  const table = functionAt(base, 0, p, ['uint32_t'])(API_VERSION) as Pointer | null;
  if (table === null) throw internal(`${library} has no C API of version ${API_VERSION}`);

  const getMessage = functionAt(table, 2, 'str', [p]);
  const releaseStatus = functionAt(table, 93, 'void', [p]);
  const functions = Object.fromEntries(
    Object.entries(statusFunctions).map(([name, [place, parameters]]) => [
      name,
      functionAt(table, place, p, parameters),
    ]),
  ) as Record<StatusFunction, (...args: Argument[]) => unknown>;
  const releases = Object.fromEntries(
    Object.entries(releaseFunctions).map(([name, place]) => [name, functionAt(table, place, 'void', [p])]),
  ) as Record<keyof typeof releaseFunctions, (object: Pointer) => unknown>;

  const empty = new Uint8Array(1);
  const call: OrtApi['call'] = (name, ...args) => {
    const status = functions[name](...args) as Pointer | null;
    if (status === null) return;
    const message = getMessage(status) as string;
    releaseStatus(status);
    throw new Error(message);
  };
  return {
    handle,
    version: functionAt(base, 1, 'str', [])() as string,
    call,
    get(name, ...args) {
      const result = new BigUint64Array(1);
      call(name, ...args, result);
      return result[0] as Pointer;
    },
    release: (name, object) => void releases[name](object),
    addressOf: (data) => koffi.address(data.byteLength === 0 ? empty : data),
    view: (address, bytes) => koffi.view(address, bytes),
    stringAt: (address) => koffi.decode.string(address),
  };
}

/** ONNXTensorElementDataType by number; the types that kdx does not feed are left out. */
const elementTypes: readonly (Exclude<DType, 'string' | 'int4' | 'uint4'> | undefined)[] = [
  undefined,
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  undefined,
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  undefined,
  undefined,
  'bfloat16',
];

export type ElementType = NonNullable<(typeof elementTypes)[number]>;

export function elementTypeOf(code: number): ElementType {
  const dtype = elementTypes[code];
  if (dtype === undefined) throw new Error(`element type ${code} is not supported as an input or output`);
  return dtype;
}

export function elementCode(dtype: DType): number {
  const code = elementTypes.indexOf(dtype as ElementType);
  if (code < 0) throw internal(`${dtype} tensors cannot be fed or fetched`);
  return code;
}

/** Never empty: ONNX Runtime refuses the NULL that would be passed for a scalar. */
export function shapeOf(dims: readonly number[]): BigInt64Array {
  return BigInt64Array.from(dims.length > 0 ? dims : [0], BigInt);
}

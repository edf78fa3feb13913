/** Memory of the WebGPU provider, through the C API: made by its allocator, filled and read by runs of one Identity node. */
import { elementCount, type DType } from '../graph/index.ts';
import { deviceTypes, type DeviceType } from './driver.ts';
import { elementCode, shapeOf, type OrtApi, type Pointer } from './ort-api.ts';

/** Name of the provider's memory in ONNX Runtime 1.30 (core/providers/webgpu/allocator.h). */
const MEMORY_NAME = 'WebGPU_Buf';
const DEVICE_ALLOCATOR = 0;
const DEVICE_ID = 0;
const MEMORY_TYPE_DEFAULT = 0;

/** Pointers are to OrtValue. */
export interface DeviceMemory {
  /** Whether a tensor can be kept there; the others stay in the memory of the process, and each run copies them. */
  holds(dtype: DType, dims: readonly number[]): dtype is DeviceType;
  create(dtype: DeviceType, dims: readonly number[]): Pointer;
  /** Between the device and the process, either way, or on the device. */
  copy(dtype: DeviceType, from: Pointer, to: Pointer): void;
  release(): void;
}

/**
 * @param createSession from an encoded model, on the device
 * @param copiers a model of one Identity node from `x` to `y` for each element type
 */
export function openWebgpuMemory(
  api: OrtApi,
  createSession: (model: Uint8Array) => Pointer,
  copiers: Readonly<Record<DeviceType, Uint8Array>>,
): DeviceMemory {
  // Their own, so that copies go on when runs are ended.
  const runOptions = api.get('CreateRunOptions');
  const sessions = new Map<DeviceType, Pointer>();
  const sessionFor = (dtype: DeviceType): Pointer => {
    const session = sessions.get(dtype) ?? createSession(copiers[dtype]);
    sessions.set(dtype, session);
    return session;
  };
  const [x, y] = [Buffer.from('x\0'), Buffer.from('y\0')];
  const info = api.get('CreateMemoryInfo', MEMORY_NAME, DEVICE_ALLOCATOR, DEVICE_ID, MEMORY_TYPE_DEFAULT);
  const allocator = api.get('CreateAllocator', sessionFor('float32'), info);
  return {
    holds: (dtype, dims): dtype is DeviceType =>
      (deviceTypes as readonly DType[]).includes(dtype) && elementCount(dims) > 0,
    create: (dtype, dims) =>
      api.get('CreateTensorAsOrtValue', allocator, shapeOf(dims), dims.length, elementCode(dtype)),
    copy(dtype, from, to) {
      const names = (name: Buffer) => BigUint64Array.of(api.addressOf(name));
      const [inputs, outputs] = [BigUint64Array.of(from), BigUint64Array.of(to)];
      api.call('Run', sessionFor(dtype), runOptions, names(x), inputs, 1, names(y), 1, outputs);
    },
    release() {
      api.release('ReleaseAllocator', allocator);
      api.release('ReleaseMemoryInfo', info);
      for (const session of sessions.values()) api.release('ReleaseSession', session);
      api.release('ReleaseRunOptions', runOptions);
    },
  };
}

/** Held here, since ONNX Runtime is given their addresses only. */
const [enableInt64, yes] = [Buffer.from('enableInt64\0'), Buffer.from('1\0')];

/**
 * Makes the sessions of some options compute by WebGPU. Without `enableInt64` all of an embedding's gradient but the sum
 * would run on the CPU; integers are exact up to 32 bits.
 */
export function appendWebgpu(api: OrtApi, options: Pointer): void {
  const pointers = (text: Buffer) => BigUint64Array.of(api.addressOf(text));
  api.call('SessionOptionsAppendExecutionProvider', options, 'WebGPU', pointers(enableInt64), pointers(yes), 1);
}

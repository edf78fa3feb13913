/** Memory of a GPU, through the C API: made by the provider's allocator, filled and read by runs of one Identity node. */
import { elementCount, type DType } from '../graph/index.ts';
import type { Copiers } from './driver.ts';
import type { GpuProvider } from './gpu-provider.ts';
import { elementCode, shapeOf, type OrtApi, type Pointer } from './ort-api.ts';

const DEVICE_ALLOCATOR = 0;
const MEMORY_TYPE_DEFAULT = 0;

/** Pointers are to OrtValue. */
export interface DeviceMemory {
  /** Whether a tensor can be kept there; the others stay in the memory of the process, and each run copies them. */
  holds(dtype: DType, dims: readonly number[]): boolean;
  create(dtype: DType, dims: readonly number[]): Pointer;
  /** Between the device and the process, either way, or on the device. */
  copy(dtype: DType, from: Pointer, to: Pointer): void;
  release(): void;
}

/**
 * @param createSession from an encoded model, on the device
 * @param copiers a model of one Identity node from `x` to `y` for each element type that the device holds
 */
export function openDeviceMemory(
  api: OrtApi,
  { memoryName, deviceId }: GpuProvider,
  createSession: (model: Uint8Array) => Pointer,
  copiers: Copiers,
): DeviceMemory {
  // Their own, so that copies go on when runs are ended.
  const runOptions = api.get('CreateRunOptions');
  const sessions = new Map<DType, Pointer>();
  const sessionFor = (dtype: DType): Pointer => {
    const session = sessions.get(dtype) ?? createSession(copiers[dtype] as Uint8Array);
    sessions.set(dtype, session);
    return session;
  };
  const [x, y] = [Buffer.from('x\0'), Buffer.from('y\0')];
  const info = api.get('CreateMemoryInfo', memoryName, DEVICE_ALLOCATOR, deviceId, MEMORY_TYPE_DEFAULT);
  const allocator = api.get('CreateAllocator', sessionFor('float32'), info);
  return {
    holds: (dtype, dims) => copiers[dtype] !== undefined && elementCount(dims) > 0,
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

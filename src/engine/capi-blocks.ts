/** Memory of tensors through the C API, with the OrtValue that describes it: in this process, or on a GPU. */
import { allocate, byteLength, elementCount, type DType, type Tensor } from '../graph/index.ts';
import { typeAndDims } from './capi-session.ts';
import { elementCode, shapeOf, type OrtApi, type Pointer } from './ort-api.ts';
import type { DeviceMemory } from './device-memory.ts';

/** Values of the enums in onnxruntime_c_api.h. */
export const DEVICE_ALLOCATOR = 0;
export const ARENA_ALLOCATOR = 1;
export const MEMORY_TYPE_DEFAULT = 0;

/** Memory of this process. */
export interface HostBlock {
  readonly tensor: Tensor;
  readonly value: Pointer;
}

/** Memory of the GPU. */
interface DeviceBlock {
  readonly tensor?: undefined;
  readonly value: Pointer;
  readonly dtype: DType;
  readonly dims: readonly number[];
}

export type Block = HostBlock | DeviceBlock;

export interface Blocks {
  /** Over the tensor's own data. */
  of(tensor: Tensor): HostBlock;
  empty(dtype: DType, dims: readonly number[]): HostBlock;
  /** Where variables are: on the device as far as it holds them. Takes the tensor's data where it does not. */
  resident(tensor: Tensor): Block;
  emptyResident(like: Block): Block;
  /** The content as a copy. */
  contentOf(block: Block): Tensor;
  /** The content of an output that ONNX Runtime allocated in this process, as a copy; frees the original. */
  take(value: Pointer): Tensor;
  release(block: Block | undefined): void;
  close(): void;
}

/** @param device where variables are kept; default: in this process */
export function openBlocks(api: OrtApi, device?: DeviceMemory): Blocks {
  const memory = api.get('CreateCpuMemoryInfo', DEVICE_ALLOCATOR, MEMORY_TYPE_DEFAULT);
  const of = (tensor: Tensor): HostBlock => {
    const { dtype, dims, data } = tensor;
    const address = api.addressOf(data as Uint8Array);
    const value = api.get(
      'CreateTensorWithDataAsOrtValue',
      memory,
      address,
      byteLength(dtype, dims),
      shapeOf(dims),
      dims.length,
      elementCode(dtype),
    );
    return { tensor, value };
  };
  const empty: Blocks['empty'] = (dtype, dims) =>
    of({ dtype, dims, data: allocate(dtype as 'float32', elementCount(dims)) });
  const release: Blocks['release'] = (block) => block && api.release('ReleaseValue', block.value);
  const onDevice = (place: DeviceMemory, dtype: DType, dims: readonly number[]): DeviceBlock => ({
    value: place.create(dtype, dims),
    dtype,
    dims,
  });
  return {
    of,
    empty,
    release,
    resident(tensor) {
      const host = of(tensor);
      const { dtype, dims } = tensor;
      if (!device?.holds(dtype, dims)) return host;
      const block = onDevice(device, dtype, dims);
      try {
        device.copy(dtype, host.value, block.value);
        return block;
      } catch (error) {
        release(block);
        throw error;
      } finally {
        release(host);
      }
    },
    emptyResident(like) {
      const { dtype, dims } = like.tensor ?? like;
      return device?.holds(dtype, dims) ? onDevice(device, dtype, dims) : empty(dtype, dims);
    },
    contentOf(block) {
      if (block.tensor) return { ...block.tensor, data: block.tensor.data.slice() };
      const host = empty(block.dtype, block.dims);
      try {
        device?.copy(block.dtype, block.value, host.value);
        return host.tensor;
      } finally {
        release(host);
      }
    },
    take: (value) => takeValue(api, value),
    close: () => api.release('ReleaseMemoryInfo', memory),
  };
}

function takeValue(api: OrtApi, value: Pointer): Tensor {
  const info = api.get('GetTensorTypeAndShape', value);
  try {
    const { dtype, dims } = typeAndDims(api, info);
    const data = allocate(dtype, elementCount(dims)) as Uint8Array;
    if (data.byteLength > 0) {
      const source = new Uint8Array(api.view(api.get('GetTensorMutableData', value), data.byteLength));
      new Uint8Array(data.buffer).set(source);
    }
    return { dtype, dims, data };
  } finally {
    api.release('ReleaseTensorTypeAndShapeInfo', info);
    api.release('ReleaseValue', value);
  }
}

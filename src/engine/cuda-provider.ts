/** The CUDA provider of ONNX Runtime 1.30, through the C API. */
import type { GpuData } from './driver.ts';
import type { GpuProvider } from './gpu-provider.ts';
import { withOptions } from './option-lists.ts';
import type { OrtApi, Pointer } from './ort-api.ts';

/** include/onnxruntime/core/framework/allocator.h */
const MEMORY_NAME = 'Cuda';
const DEVICE_ALLOCATOR = 0;
const MEMORY_TYPE_DEFAULT = 0;
/** Held here, since ONNX Runtime is given its address only. */
const arenaKey = Buffer.from('arena_extend_strategy\0');
/** ArenaExtendStrategy: memory as it is asked for, where the other one doubles it each time. */
const SAME_AS_REQUESTED = 1;

type CudaData = Extract<GpuData, { readonly kind: 'cuda' }>;

/**
 * Loads the provider's libraries.
 * @throws Error where they, the driver or the device are refused
 */
export function openCudaProvider(api: OrtApi, environment: Pointer, { index, tf32 }: CudaData): GpuProvider {
  const provider = api.get('CreateCUDAProviderOptions');
  const release = () => api.release('ReleaseCUDAProviderOptions', provider);
  try {
    const options = {
      device_id: String(index),
      use_tf32: tf32 ? '1' : '0',
      arena_extend_strategy: 'kSameAsRequested',
    };
    withOptions(api, options, (keys, values, count) =>
      api.call('UpdateCUDAProviderOptions', provider, keys, values, count),
    );
    shareArena(api, environment, index);
  } catch (error) {
    release();
    throw error;
  }
  return {
    memoryName: MEMORY_NAME,
    deviceId: index,
    append: (options) => api.call('SessionOptionsAppendExecutionProvider_CUDA_V2', options, provider),
    release,
  };
}

/**
 * One arena for all sessions, as on the CPU: they run one after the other, and each would keep its own at full size. Only
 * when the provider is loaded: ONNX Runtime ends the process otherwise.
 */
function shareArena(api: OrtApi, environment: Pointer, index: number): void {
  const memory = api.get('CreateMemoryInfo', MEMORY_NAME, DEVICE_ALLOCATOR, index, MEMORY_TYPE_DEFAULT);
  const strategy = BigUint64Array.of(BigInt(SAME_AS_REQUESTED));
  const arena = api.get('CreateArenaCfgV2', BigUint64Array.of(api.addressOf(arenaKey)), strategy, 1);
  try {
    withOptions(api, { device_id: String(index) }, (keys, values, count) => {
      const provider = 'CUDAExecutionProvider';
      api.call('CreateAndRegisterAllocatorV2', environment, provider, memory, arena, keys, values, count);
    });
  } finally {
    api.release('ReleaseArenaCfg', arena);
    api.release('ReleaseMemoryInfo', memory);
  }
}

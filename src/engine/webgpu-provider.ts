/** The WebGPU provider of ONNX Runtime 1.30, through the C API. */
import type { GpuProvider } from './gpu-provider.ts';
import { withOptions } from './option-lists.ts';
import type { OrtApi } from './ort-api.ts';

/** The name of its memory is in core/providers/webgpu/allocator.h. */
export function webgpuProvider(api: OrtApi): GpuProvider {
  return {
    memoryName: 'WebGPU_Buf',
    deviceId: 0,
    // Without int64 all of an embedding's gradient but the sum would run on the CPU; it is exact up to 32 bits.
    append: (options) =>
      withOptions(api, { enableInt64: '1' }, (keys, values, count) =>
        api.call('SessionOptionsAppendExecutionProvider', options, 'WebGPU', keys, values, count),
      ),
    release: () => undefined,
  };
}

/** Execution providers of ONNX Runtime for GPUs, through the C API: what one has and another has not. */
import { openCudaProvider } from './cuda-provider.ts';
import type { GpuData } from './driver.ts';
import type { OrtApi, Pointer } from './ort-api.ts';
import { webgpuProvider } from './webgpu-provider.ts';

export interface GpuProvider {
  /** Of its memory, in ONNX Runtime. */
  readonly memoryName: string;
  /** Number of the device in ONNX Runtime. */
  readonly deviceId: number;
  /** Makes the sessions of some options compute there. */
  append(options: Pointer): void;
  release(): void;
}

/** @throws Error where the provider, or the device, is refused */
export function openGpuProvider(api: OrtApi, environment: Pointer, gpu: GpuData): GpuProvider {
  return gpu.kind === 'cuda' ? openCudaProvider(api, environment, gpu) : webgpuProvider(api);
}

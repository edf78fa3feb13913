/** The drivers over ONNX Runtime, whichever way they talk to it: what they take and give. */
import type { DType } from '../graph/index.ts';
import type { SessionOptions } from './engine.ts';
import type { Driver } from './protocol.ts';

export type Backend = 'capi' | 'binding';

/** Session options with every default filled in. */
export interface SessionSettings {
  readonly name: string;
  readonly inPlace: boolean;
  readonly optimization: NonNullable<SessionOptions['optimization']>;
  readonly disabledOptimizers: readonly string[];
  readonly memoryPattern: boolean;
  readonly spinning: boolean;
  readonly prepacking: boolean;
  readonly threads: number;
  readonly cpuFallback: boolean;
  readonly optimizedModelPath: string | undefined;
  /** Whether the session's threads take denormals as zero; default: as the thread does that calls `run`. */
  readonly flushDenormals?: boolean;
}

export type OrtSource = readonly [model: Uint8Array | string, settings: SessionSettings];
export type OrtDriver = Driver<OrtSource>;

/** What the worker says when its driver is open. */
export interface OrtReady {
  /** Address of the OrtRunOptions of all runs, by which another thread can end them; 0 where that is not possible. */
  readonly runOptions: bigint;
}

/** Element types of variables that live on a GPU by WebGPU; the rest stays in the memory of the process. */
export const webgpuTypes = ['float32', 'float16', 'int32', 'uint32'] as const satisfies readonly DType[];

/** Models of one Identity node, of any shape, by the element types that the GPU holds: they move tensors there and back. */
export type Copiers = Readonly<Partial<Record<DType, Uint8Array>>>;

/** What a driver on a GPU needs beyond one on the CPU. */
export type GpuData = {
  /** Libraries that ONNX Runtime would not find by their names, each after those that it needs. */
  readonly preload: readonly string[];
  readonly copiers: Copiers;
} & (
  | { readonly kind: 'webgpu' }
  /** `index` is CUDA's number of the device. */
  | { readonly kind: 'cuda'; readonly index: number; readonly tf32: boolean }
);

/** What the worker opens its driver with. */
export interface OrtData {
  readonly backend: Backend;
  readonly library: string;
  /** Any small model; see denormals.ts. */
  readonly probe: Uint8Array;
  /** Compute there; without it, on the CPU. */
  readonly gpu?: GpuData;
}

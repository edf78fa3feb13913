/** The executor contract: what runs graphs, on whatever device. Every engine passes test/engine/contract.ts. */
import type { Model, Tensor } from '../graph/index.ts';

export type DeviceKind = 'cpu' | 'cuda' | 'webgpu';

/** A device as chosen: what it is and why it was taken. */
export interface DeviceInfo {
  readonly kind: DeviceKind;
  /** For people: "cpu (AMD EPYC, 2 threads)". */
  readonly description: string;
  /** One line: why this one, and why the ones before it were not taken. */
  readonly reason: string;
  readonly threads: number;
  /** Memory of the GPU, in bytes, where it can be asked. */
  readonly memoryBytes?: number;
}

export interface EngineOptions {
  /** Intra-op threads; default: physical cores. */
  readonly threads?: number;
  /** CUDA: products of float32 matrices in TensorFloat-32, faster, with 10 bits of mantissa; default false. */
  readonly tf32?: boolean;
}

export interface SessionOptions {
  /** For profiles and messages. */
  readonly name?: string;
  /** Nodes may overwrite a resident variable that the same run reads (the graph must order reads before the write). */
  readonly inPlace?: boolean;
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** ONNX Runtime optimizers to switch off by name, such as SkipLayerNormFusion. */
  readonly disabledOptimizers?: readonly string[];
  /** Trade memory for speed: off for training (spec: memory pattern), on for plain inference. */
  readonly memoryPattern?: boolean;
  /** Threads that wait for work keep their processor busy: faster in a loop, at the cost of everybody else; default false. */
  readonly spinning?: boolean;
  /** Weights are rearranged for the kernels once, when the session is made: faster, and more memory; default true. */
  readonly prepacking?: boolean;
  /** Intra-op threads of this session; default: the engine's. */
  readonly threads?: number;
  /** Nodes that a GPU cannot do may run on the CPU, with copies there and back; without this, an error. Default true. */
  readonly cpuFallback?: boolean;
  /** Write the graph as optimized by the runtime to this file. */
  readonly optimizedModelPath?: string;
}

/** A tensor that lives on the engine's device between runs (parameters, optimizer state). */
export interface Variable {
  readonly id: number;
  readonly dtype: Tensor['dtype'];
  readonly dims: readonly number[];
}

export interface RunRequest {
  /** By graph input. A tensor's data must not be changed until the run has ended. */
  readonly feeds: Readonly<Record<string, Tensor | Variable>>;
  /** Outputs to bring to the host. */
  readonly fetch: readonly string[];
  /** Outputs that become the new content of a variable (same dtype and shape), by graph output. */
  readonly assign?: Readonly<Record<string, Variable>>;
}

export interface Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Off the main thread; runs of one session are executed in the order of the calls. */
  run(request: RunRequest): Promise<Record<string, Tensor>>;
  /** Waits for pending runs. Calling it again does nothing. */
  release(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  readonly device: DeviceInfo;
  /** From a model in memory, or from a file (external data beside it). */
  createSession(model: Model | string, options?: SessionOptions): Promise<Session>;
  /** Puts a tensor on the device; the data is copied. */
  store(value: Tensor): Promise<Variable>;
  /** The same without a copy: the data is the engine's from then on, and must not be used again. */
  adopt(value: Tensor): Promise<Variable>;
  /** Several at once, in order; copied. */
  storeAll(values: readonly Tensor[]): Promise<Variable[]>;
  /** Brings variables to the host as copies, after all runs called before. */
  read(variables: readonly Variable[]): Promise<Tensor[]>;
  /** Overwrites variables with tensors of the same dtype and shape. */
  write(variables: readonly Variable[], values: readonly Tensor[]): Promise<void>;
  free(variables: readonly Variable[]): Promise<void>;
  /** Releases sessions, variables and threads. */
  close(): Promise<void>;
}

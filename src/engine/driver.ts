/** What the engine's worker does for the main thread, whichever way it talks to ONNX Runtime. Also their protocol. */
import type { Tensor, ValueInfo } from '../graph/index.ts';
import type { SessionOptions } from './engine.ts';

export type Backend = 'capi' | 'binding';

type MaybePromise<T> = T | Promise<T>;

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

/** Inputs and outputs of a session as ONNX Runtime states them. The shape of a scalar counts as unknown. */
export interface Signature {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

/** A checked run. Variables are given by number. */
export interface RunCall {
  readonly session: number;
  readonly feeds: readonly (readonly [name: string, value: Tensor | number])[];
  readonly fetch: readonly string[];
  readonly assign: readonly (readonly [name: string, variable: number])[];
}

/** Sessions and variables have numbers that the main thread chooses. Arrays given to a driver become its own. */
export interface Driver {
  createSession(id: number, model: Uint8Array | string, settings: SessionSettings): MaybePromise<Signature>;
  /** Values of `fetch`, in that order, in arrays that nothing else refers to. */
  run(call: RunCall): MaybePromise<Tensor[]>;
  releaseSession(id: number): MaybePromise<void>;
  /** Creates variables, or replaces their content. */
  put(ids: readonly number[], values: readonly Tensor[]): MaybePromise<void>;
  /** Copies of the content of variables. */
  get(ids: readonly number[]): MaybePromise<Tensor[]>;
  drop(ids: readonly number[]): MaybePromise<void>;
  close(): MaybePromise<void>;
}

export type Method = keyof Driver;
export type Arguments<M extends Method> = Parameters<Driver[M]>;
export type Result<M extends Method> = Awaited<ReturnType<Driver[M]>>;

export interface Request<M extends Method = Method> {
  readonly id: number;
  readonly method: M;
  readonly args: Arguments<M>;
}

export type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

/** First message of the worker. */
export interface Ready {
  /** Address of the OrtRunOptions of all runs, by which another thread can end them; 0 where that is not possible. */
  readonly runOptions: bigint;
}

/** Element types of variables that live on a GPU; the rest stays in the memory of the process. */
export const deviceTypes = ['float32', 'float16', 'int32', 'uint32'] as const;
export type DeviceType = (typeof deviceTypes)[number];

/** What a driver on the WebGPU provider needs beyond one on the CPU. */
export interface GpuData {
  /** The Vulkan loader, where ONNX Runtime would not find it by its name. */
  readonly preload?: string;
  /** Models of one Identity node, of any shape, by element type: they move tensors to the GPU and back. */
  readonly copiers: Readonly<Record<DeviceType, Uint8Array>>;
}

export interface WorkerData {
  readonly backend: Backend;
  readonly library: string;
  /** Any small model; see denormals.ts. */
  readonly probe: Uint8Array;
  /** Compute by WebGPU; without it, on the CPU. */
  readonly gpu?: GpuData;
  /** Shared by both threads: two flags, at CLOSING and BUSY. */
  readonly state: Int32Array;
}

/** 1 when the engine is being closed: requests still in line are dropped. */
export const CLOSING = 0;
/** 1 while the worker does a request. */
export const BUSY = 1;

/** A driver, which does the work of an engine in the engine's worker, and what the worker and the main thread say to each other. */
import type { KdxError } from '../errors/index.ts';
import type { Tensor, ValueInfo } from '../graph/index.ts';

type MaybePromise<T> = T | Promise<T>;

/** Inputs and outputs of a session as its driver states them. ONNX Runtime does not tell the shape of a scalar from an unknown one. */
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

/**
 * Sessions and variables on a device. They have numbers that the main thread chooses; arrays given to a driver become its
 * own. An error is thrown with a message for `EngineParts` to explain; only the message crosses the threads.
 * @template Source what a session is made of: arguments that can be cloned from one thread to the other
 */
export interface Driver<Source extends readonly unknown[]> {
  createSession(id: number, ...source: Source): MaybePromise<Signature>;
  /**
   * Values of `fetch`, in that order, in arrays that nothing else refers to. A run that throws has changed no variable,
   * unless the session writes in place.
   */
  run(call: RunCall): MaybePromise<Tensor[]>;
  releaseSession(id: number): MaybePromise<void>;
  /** Creates variables, or replaces their content. */
  put(ids: readonly number[], values: readonly Tensor[]): MaybePromise<void>;
  /** Copies of the content of variables. */
  get(ids: readonly number[]): MaybePromise<Tensor[]>;
  drop(ids: readonly number[]): MaybePromise<void>;
  /** Releases everything. */
  close(): MaybePromise<void>;
}

/**
 * What a module exports that the worker loads to get its driver.
 * @template Data what the main thread gives it
 * @template Ready what it says to the main thread when it is open
 */
export interface DriverModule<Data, Source extends readonly unknown[], Ready> {
  /**
   * @param isClosing whether the engine is being closed, so that what is under way can be given up
   * @throws KdxError that the main thread is to throw as it is
   */
  open(data: Data, isClosing: () => boolean): Promise<{ readonly driver: Driver<Source>; readonly ready: Ready }>;
  /** Native addons that have to stay loaded until the process ends, whether `open` succeeded or not. */
  addons?(): readonly string[];
}

export type Method = keyof Driver<[]>;
export type Arguments<M extends Method, Source extends readonly unknown[]> = M extends 'createSession'
  ? readonly [id: number, ...source: Source]
  : Parameters<Driver<Source>[M]>;
export type Result<M extends Method> = Awaited<ReturnType<Driver<[]>[M]>>;

export interface Request {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

export type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

/** First message of the worker. */
export interface Greeting<Ready> {
  readonly addons: readonly string[];
  readonly outcome: { readonly ready: Ready } | { readonly failure: Failure };
}

/** A KdxError on its way to the other thread. */
export type Failure = Pick<KdxError, 'code' | 'message' | 'suggestions' | 'exitCode'>;

export interface WorkerData<Data> {
  /** Address of a DriverModule. */
  readonly module: string;
  readonly data: Data;
  /** Shared by both threads: two flags, at CLOSING and BUSY. */
  readonly state: Int32Array;
}

/** 1 when the engine is being closed: requests still in line are dropped. */
export const CLOSING = 0;
/** 1 while the worker does a request. */
export const BUSY = 1;

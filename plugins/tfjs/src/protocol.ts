/** What the main thread and the worker say to each other. */
import type { Driver } from './driver.ts';
import type { Backend, Loaded } from './load.ts';

export interface WorkerData {
  /** In the order in which they are tried. */
  readonly backends: readonly Backend[];
  /** Shared by both threads: one flag, 1 when the engine is being closed. */
  readonly closing: Int32Array;
}

/** First message of the worker. */
export interface Ready {
  /** Native addons that are loaded in the worker. */
  readonly addons: readonly string[];
  readonly outcome:
    | { readonly loaded: Omit<Loaded, 'tf'> }
    | {
        readonly failure: { readonly code: string; readonly message: string; readonly suggestions: readonly string[] };
      };
}

export type Method = keyof Driver;
export type Arguments<M extends Method> = Parameters<Driver[M]>;
export type Result<M extends Method> = ReturnType<Driver[M]>;

export interface Request<M extends Method = Method> {
  readonly id: number;
  readonly method: M;
  readonly args: Arguments<M>;
}

export type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

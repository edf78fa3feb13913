/** The main thread's end of an engine's worker: calls as promises, and an orderly or sudden end. */
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { Worker, type TransferListItem } from 'node:worker_threads';
import { internal, KdxError } from '../errors/index.ts';
import { BUSY, CLOSING } from './protocol.ts';
import type { Arguments, Greeting, Method, Reply, Request, Result, WorkerData } from './protocol.ts';

export interface Host<Source extends readonly unknown[], Ready> {
  /** What the driver said when it was open. */
  readonly ready: Ready;
  /** Arrays in `give` are moved to the worker, the rest is copied. */
  call<M extends Method>(method: M, args: Arguments<M, Source>, give?: readonly TransferListItem[]): Promise<Result<M>>;
  /** Whether `close` was called. */
  readonly closed: boolean;
  /** Rejects what is under way and in line with KdxError `engine-closed`, frees everything and ends the thread. */
  close(): Promise<void>;
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Loads an addon in this thread too. Node unloads it with the last thread that has it, and with it the code that its
 * library (TensorFlow) has registered for the end of the process, which would then crash.
 */
const pin: (addon: string) => unknown = createRequire(import.meta.url);

/** The address of a module in the folder of another: a TypeScript source beside a source, compiled beside compiled. */
export function moduleBeside(address: string, name: string): string {
  return new URL(`./${name}${extname(address)}`, address).href;
}

/**
 * Starts a worker, which keeps the process alive only while it works.
 * @param module address of a DriverModule of these types
 * @param interrupt makes the run under way end soon, for drivers that cannot ask `isClosing` in the middle of it
 * @throws KdxError that the driver throws when it is opened
 */
export async function startHost<Data, Source extends readonly unknown[], Ready>(
  module: string,
  data: Data,
  interrupt: (ready: Ready) => void = () => undefined,
): Promise<Host<Source, Ready>> {
  const state = new Int32Array(new SharedArrayBuffer(8));
  const worker = startWorker({ module, data, state });
  const pending = new Map<number, Pending>();
  let count = 0;
  let end: Error | undefined;

  const rejectAll = (error: Error) => {
    const cut = [...pending.values()];
    pending.clear();
    for (const { reject } of cut) reject(error);
  };
  const stop = (error: Error) => {
    end ??= error;
    Atomics.store(state, BUSY, 0);
    rejectAll(end);
  };

  const { addons, outcome } = await new Promise<Greeting<Ready>>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(internal(`the engine's worker ended with code ${code} before it was ready`)));
  });
  for (const addon of addons) pin(addon);
  if ('failure' in outcome) {
    await worker.terminate();
    const { code, message, ...options } = outcome.failure;
    throw new KdxError(code, message, options);
  }
  const { ready } = outcome;
  worker.on('error', (error: Error) =>
    stop(new Error(`internal: the engine's worker failed: ${error.message}`, { cause: error })),
  );
  worker.on('exit', (code) => stop(internal(`the engine's worker ended with code ${code}`)));
  worker.on('message', (reply: Reply) => {
    const waiting = pending.get(reply.id);
    if (!waiting) return;
    pending.delete(reply.id);
    if (pending.size === 0) worker.unref();
    if ('error' in reply) waiting.reject(new Error(reply.error));
    else waiting.resolve(reply.value as never);
  });
  worker.unref();

  const send = <M extends Method>(method: M, args: Arguments<M, Source>, give: readonly TransferListItem[] = []) =>
    new Promise<Result<M>>((resolve, reject) => {
      const id = ++count;
      worker.postMessage({ id, method, args } satisfies Request, give);
      pending.set(id, { resolve, reject });
      worker.ref();
    });

  const cutShort = () => {
    Atomics.store(state, CLOSING, 1);
    if (pending.size > 0) interrupt(ready);
  };
  // A process must not exit under a native call: onnxruntime-node aborts when it comes back to a dying thread.
  const onExit = () => {
    cutShort();
    Atomics.wait(state, BUSY, 1);
  };
  process.on('exit', onExit);

  let closed: Promise<void> | undefined;
  const shutDown = async () => {
    if (!end) {
      cutShort();
      end = internal('the engine is closed');
      rejectAll(closedDuringWork());
      await send('close', []).catch(() => undefined);
    }
    process.off('exit', onExit);
    await worker.terminate();
  };
  return {
    ready,
    call: (method, args, give) => (end ? Promise.reject(end) : send(method, args, give)),
    get closed() {
      return closed !== undefined;
    },
    close: () => (closed ??= shutDown()),
  };
}

/** Counts as an interruption: the cause is an AbortError. */
function closedDuringWork(): KdxError {
  return new KdxError('engine-closed', 'the engine was closed before the work was done', {
    exitCode: 1,
    cause: new DOMException('the engine was closed', 'AbortError'),
  });
}

/** From TypeScript sources, tsx has to be registered in every thread. */
function startWorker<Data>(workerData: WorkerData<Data>): Worker {
  const entry = moduleBeside(import.meta.url, 'worker');
  if (![entry, workerData.module].some((address) => address.endsWith('.ts')))
    return new Worker(new URL(entry), { workerData });
  const tsx = import.meta.resolve('tsx/esm/api');
  const source = `import(${JSON.stringify(tsx)}).then((tsx) => (tsx.register(), import(${JSON.stringify(entry)})))`;
  return new Worker(source, { eval: true, workerData });
}

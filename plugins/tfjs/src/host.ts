/** The main thread's end of the worker: calls as promises, and an end that cuts a run short at its next node. */
import { createRequire } from 'node:module';
import { Worker, type TransferListItem } from 'node:worker_threads';
import { internal, KdxError } from 'kdx/errors';
import type { Backend, Loaded } from './load.ts';
import type { Arguments, Method, Ready, Reply, Request, Result, WorkerData } from './protocol.ts';

export interface Host {
  readonly loaded: Omit<Loaded, 'tf'>;
  /** Arrays in `give` are moved to the worker, the rest is copied. */
  call<M extends Method>(method: M, args: Arguments<M>, give?: readonly TransferListItem[]): Promise<Result<M>>;
  /** Whether `close` was called. */
  readonly closed: boolean;
  /** Rejects what is under way and in line with KdxError `engine-closed`, frees everything and ends the thread. */
  close(): Promise<void>;
}

/**
 * Loads an addon in this thread too. Node unloads it with the last thread that has it, and with it the code that TensorFlow
 * has registered for the end of the process, which would then crash.
 */
const pin: (addon: string) => unknown = createRequire(import.meta.url);

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** @throws KdxError `tensorflow-missing` */
export async function startHost(backends: readonly Backend[]): Promise<Host> {
  const closing = new Int32Array(new SharedArrayBuffer(4));
  const worker = startWorker({ backends, closing });
  const pending = new Map<number, Pending>();
  let count = 0;
  let end: Error | undefined;

  const rejectAll = (error: Error) => {
    const cut = [...pending.values()];
    pending.clear();
    for (const { reject } of cut) reject(error);
  };
  const stop = (error: Error) => rejectAll((end ??= error));

  const ready = await new Promise<Ready>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(internal(`the worker of TensorFlow.js ended with code ${code}`)));
  });
  for (const addon of ready.addons) pin(addon);
  const { outcome } = ready;
  if ('failure' in outcome) {
    await worker.terminate();
    const { code, message, suggestions } = outcome.failure;
    throw new KdxError(code, message, { suggestions });
  }
  worker.on('error', (error) => stop(new Error('internal: the worker of TensorFlow.js failed', { cause: error })));
  worker.on('exit', (code) => stop(internal(`the worker of TensorFlow.js ended with code ${code}`)));
  worker.on('message', (reply: Reply) => {
    const waiting = pending.get(reply.id);
    if (!waiting) return;
    pending.delete(reply.id);
    if (pending.size === 0) worker.unref();
    if ('error' in reply) waiting.reject(new Error(reply.error));
    else waiting.resolve(reply.value as never);
  });
  worker.unref();

  const send = <M extends Method>(method: M, args: Arguments<M>, give: readonly TransferListItem[] = []) =>
    new Promise<Result<M>>((resolve, reject) => {
      const id = ++count;
      worker.postMessage({ id, method, args } satisfies Request<M>, give);
      pending.set(id, { resolve, reject });
      worker.ref();
    });

  let closed: Promise<void> | undefined;
  const shutDown = async () => {
    if (!end) {
      Atomics.store(closing, 0, 1);
      end = internal('the engine is closed');
      rejectAll(closedDuringWork());
      await send('close', []).catch(() => undefined);
    }
    await worker.terminate();
  };
  return {
    loaded: outcome.loaded,
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

/** The worker from compiled files, or from TypeScript sources, for which tsx has to be registered in every thread. */
function startWorker(workerData: WorkerData): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url), { workerData });
  const [tsx, entry] = [import.meta.resolve('tsx/esm/api'), new URL('./worker.ts', import.meta.url).href];
  const source = `import(${JSON.stringify(tsx)}).then((tsx) => (tsx.register(), import(${JSON.stringify(entry)})))`;
  return new Worker(source, { eval: true, workerData });
}

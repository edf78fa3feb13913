/** The main thread's end of an engine's worker: calls as promises, and an orderly or sudden end. */
import { Worker, type TransferListItem } from 'node:worker_threads';
import { internal, KdxError } from '../errors/index.ts';
import { BUSY, CLOSING } from './driver.ts';
import type { Arguments, Method, Ready, Reply, Request, Result, WorkerData } from './driver.ts';

export interface Host {
  /** Arrays in `give` are moved to the worker, the rest is copied. */
  call<M extends Method>(method: M, args: Arguments<M>, give?: readonly TransferListItem[]): Promise<Result<M>>;
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
 * Starts a worker.
 * @param interrupt makes the run under way end soon; gets what the worker said when it was ready
 */
export async function startHost(
  data: Omit<WorkerData, 'state'>,
  interrupt: (ready: Ready) => void = () => undefined,
): Promise<Host> {
  const state = new Int32Array(new SharedArrayBuffer(8));
  const worker = startWorker({ ...data, state });
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

  const ready = await new Promise<Ready>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(internal(`the engine's worker ended with code ${code} before it was ready`)));
  });
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

  const send = <M extends Method>(method: M, args: Arguments<M>, give: readonly TransferListItem[] = []) =>
    new Promise<Result<M>>((resolve, reject) => {
      const id = ++count;
      worker.postMessage({ id, method, args } satisfies Request<M>, give);
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

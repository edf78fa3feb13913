/** An ONNX file on ONNX Runtime's WebAssembly build, in a thread of its own: closing it gives the memory back. */
import { basename, dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { RunBatch } from 'kdx/classifier';
import { internal } from 'kdx/errors';
import { fileExists } from 'kdx/files';
import type { Tensor } from 'kdx/graph';
import { externalDataName } from 'kdx/onnx';
import type { WebReply, WebRequest, WebThreadData } from './web-thread.ts';

export interface WebSession {
  readonly run: RunBatch;
  /** Ends the thread, also under a run. */
  close(): Promise<void>;
}

/**
 * @param signal ends what is under way at once
 * @throws WebFailure what the runtime says, and when it runs
 */
export async function openWebSession(file: string, signal: AbortSignal): Promise<WebSession> {
  const beside = join(dirname(file), externalDataName(file));
  const external = (await fileExists(beside)) ? { path: basename(beside), file: beside } : undefined;
  signal.throwIfAborted();
  const worker = startThread({ file, external });
  const close = async () => {
    await worker.terminate();
  };
  try {
    const ready = await nextReply(worker, signal);
    const inputs = 'inputs' in ready ? ready.inputs : [];
    return {
      close,
      async run(batch) {
        const answer = nextReply(worker, signal);
        const request: WebRequest = Object.fromEntries(inputs.map((name) => [name, batch[name] as Tensor]));
        worker.postMessage(request);
        const reply = await answer;
        if ('logits' in reply) return reply.logits;
        throw new WebFailure('error' in reply ? reply.error : 'it started twice');
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The runtime could not load or run a model. */
export class WebFailure extends Error {}

function nextReply(worker: Worker, signal: AbortSignal): Promise<WebReply> {
  const listening = new AbortController();
  return new Promise<WebReply>((resolve, reject) => {
    const onError = (error: Error) => reject(new WebFailure(error.message, { cause: error }));
    const onExit = (code: number) => reject(internal(`the thread of onnxruntime-web ended with code ${code}`));
    const onAbort = () => reject(signal.reason as Error);
    worker.on('message', resolve).on('error', onError).on('exit', onExit);
    signal.addEventListener('abort', onAbort);
    listening.signal.addEventListener('abort', () => {
      worker.off('message', resolve).off('error', onError).off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
    });
  }).finally(() => listening.abort());
}

/** From compiled files, or from TypeScript sources, for which tsx has to be registered in every thread. */
function startThread(workerData: WebThreadData): Worker {
  // What the runtime prints is not for the user: stdout may carry JSON.
  const options = { workerData, stdout: true, stderr: true };
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./web-thread.js', import.meta.url), options);
  const [tsx, entry] = [import.meta.resolve('tsx/esm/api'), new URL('./web-thread.ts', import.meta.url).href];
  const source = `import(${JSON.stringify(tsx)}).then((tsx) => (tsx.register(), import(${JSON.stringify(entry)})))`;
  return new Worker(source, { eval: true, ...options });
}

/** The thread that owns TensorFlow.js with its tensors. It does one request after the other, in the order they came. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { KdxError } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';
import { openDriver } from './driver.ts';
import { loadedAddons, loadTensorflow } from './load.ts';
import type { Ready, Reply, Request, WorkerData } from './protocol.ts';

const { backends, closing } = workerData as WorkerData;
const port = parentPort as MessagePort;
const isStopped = () => Atomics.load(closing, 0) === 1;

try {
  const { tf, ...loaded } = await loadTensorflow(backends);
  const driver = openDriver(tf, isStopped);
  port.on('message', ({ id, method, args }: Request) => {
    try {
      const value = (driver[method] as (...args: unknown[]) => unknown)(...args);
      port.postMessage({ id, value } satisfies Reply, arraysOf(value));
    } catch (error) {
      port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies Reply);
    }
  });
  say({ loaded });
} catch (error) {
  if (!(error instanceof KdxError)) throw error;
  const { code, message, suggestions } = error;
  say({ failure: { code, message, suggestions } });
}

function say(outcome: Ready['outcome']): void {
  port.postMessage({ addons: loadedAddons(), outcome } satisfies Ready);
}

/** The memory of tensors in a result, which is given away instead of copied. */
function arraysOf(value: unknown): ArrayBuffer[] {
  return Array.isArray(value) ? (value as Tensor[]).map(({ data }) => (data as Uint8Array).buffer as ArrayBuffer) : [];
}

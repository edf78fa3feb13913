/** The thread that owns an engine's sessions and variables. It does one request after the other, in the order they came. */
import { parentPort, workerData, type MessagePort, type TransferListItem } from 'node:worker_threads';
import { internal, KdxError } from '../errors/index.ts';
import {
  BUSY,
  CLOSING,
  type Driver,
  type DriverModule,
  type Greeting,
  type Reply,
  type Request,
  type WorkerData,
} from './protocol.ts';

const { module, data, state } = workerData as WorkerData<unknown>;
const port = parentPort as MessagePort;
const { open, addons } = (await import(module)) as DriverModule<unknown, readonly unknown[], unknown>;
const isClosing = () => Atomics.load(state, CLOSING) === 1;

try {
  const { driver, ready } = await open(data, isClosing);
  serve(driver);
  greet({ ready });
} catch (error) {
  if (!(error instanceof KdxError)) throw error;
  const { code, message, suggestions, exitCode } = error;
  // The main thread ends this one, when it has loaded the addons.
  port.ref();
  greet({ failure: { code, message, suggestions, exitCode } });
}

function greet(outcome: Greeting<unknown>['outcome']): void {
  port.postMessage({ addons: addons?.() ?? [], outcome } satisfies Greeting<unknown>);
}

function serve(driver: Driver<readonly unknown[]>): void {
  let last: Promise<void> = Promise.resolve();
  port.on('message', (request: Request) => {
    last = last.then(() => answer(driver, request));
  });
}

async function answer(driver: Driver<readonly unknown[]>, { id, method, args }: Request): Promise<void> {
  Atomics.store(state, BUSY, 1);
  try {
    if (isClosing() && method !== 'close') return;
    const value = await (driver[method] as (...args: readonly unknown[]) => unknown)(...args);
    port.postMessage({ id, value } satisfies Reply, arraysOf(value));
  } catch (error) {
    port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies Reply);
  } finally {
    Atomics.store(state, BUSY, 0);
    Atomics.notify(state, BUSY);
  }
}

/** The memory of tensors in a result, which is given away instead of copied. */
function arraysOf(value: unknown): TransferListItem[] {
  if (!Array.isArray(value)) return [];
  return value.map(({ data }: { data: Uint8Array }) => {
    if (data.byteLength !== data.buffer.byteLength) throw internal('a result shares its memory');
    return data.buffer as ArrayBuffer;
  });
}

/** The thread that owns an engine's sessions and variables. It does one request after the other, in the order they came. */
import { parentPort, workerData, type MessagePort, type TransferListItem } from 'node:worker_threads';
import { internal } from '../errors/index.ts';
import { flushDenormals, flushesDenormals } from './denormals.ts';
import {
  BUSY,
  CLOSING,
  type Driver,
  type Ready,
  type Reply,
  type Request,
  type SessionSettings,
  type WorkerData,
} from './driver.ts';
import { loadKoffi, type Koffi } from './library.ts';

/** Bytes of the stack on which koffi calls C functions: loading a graph recurses. */
const STACK_BYTES = 8 * 2 ** 20;

/** Held: koffi unloads a library when its handle is collected. */
const preloaded: object[] = [];
const { backend, library, probe, gpu, state } = workerData as WorkerData;
const port = parentPort as MessagePort;
const { driver, runOptions } = await openDriver();
await settleDenormals(driver);

let last: Promise<void> = Promise.resolve();
port.on('message', (request: Request) => {
  last = last.then(() => answer(request));
});
port.postMessage({ runOptions } satisfies Ready);

async function openDriver(): Promise<{ driver: Driver; runOptions: bigint }> {
  if (backend === 'binding') {
    if (gpu?.preload !== undefined) preload(await koffiLoaded(), gpu.preload);
    const { openBindingDriver } = await import('./binding-driver.ts');
    return { driver: openBindingDriver(gpu), runOptions: 0n };
  }
  const koffi = await koffiLoaded();
  koffi.config({ sync_stack_size: STACK_BYTES });
  if (gpu?.preload !== undefined) preload(koffi, gpu.preload);
  flushDenormals(koffi);
  const [{ openCapiDriver }, { openOrtApi }] = await Promise.all([import('./capi-driver.ts'), import('./ort-api.ts')]);
  const capi = openCapiDriver(openOrtApi(koffi, library), gpu);
  return { driver: capi, runOptions: capi.runOptions };
}

async function koffiLoaded(): Promise<Koffi> {
  const koffi = await loadKoffi();
  if (koffi instanceof Error) throw koffi;
  return koffi;
}

/** A library under its own name, so that ONNX Runtime finds it by that wherever it lies. */
function preload(koffi: Koffi, path: string): void {
  preloaded.push(koffi.load(path));
}

/** Gives ONNX Runtime the occasion to set this thread itself, which it takes once in a process. */
async function settleDenormals(driver: Driver): Promise<void> {
  if (flushesDenormals()) return;
  const settings: SessionSettings = {
    name: 'probe',
    inPlace: false,
    optimization: 'disabled',
    disabledOptimizers: [],
    memoryPattern: false,
    spinning: false,
    prepacking: true,
    threads: 1,
    cpuFallback: true,
    optimizedModelPath: undefined,
    flushDenormals: true,
  };
  await driver.createSession(0, probe, settings);
  await driver.releaseSession(0);
}

async function answer({ id, method, args }: Request): Promise<void> {
  Atomics.store(state, BUSY, 1);
  try {
    if (Atomics.load(state, CLOSING) === 1 && method !== 'close') return;
    const value = await (driver[method] as (...args: unknown[]) => unknown)(...args);
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

/** The driver over ONNX Runtime as the engine's worker opens it. */
import { flushDenormals, flushesDenormals } from './denormals.ts';
import type { OrtData, OrtDriver, OrtReady, OrtSource, SessionSettings } from './driver.ts';
import { returnFreedMemory } from './freed-memory.ts';
import { loadKoffi, type Koffi } from './library.ts';
import type { DriverModule } from './protocol.ts';

/** Bytes of the stack on which koffi calls C functions: loading a graph recurses. */
const STACK_BYTES = 8 * 2 ** 20;

/** Held: koffi unloads a library when its handle is collected. */
const preloaded: object[] = [];

export const open: DriverModule<OrtData, OrtSource, OrtReady>['open'] = async (data) => {
  const opened = await openDriver(data);
  await settleDenormals(opened.driver, data.probe);
  return opened;
};

async function openDriver({ backend, library, gpu }: OrtData): Promise<{ driver: OrtDriver; ready: OrtReady }> {
  if (backend === 'binding') {
    if (gpu && gpu.preload.length > 0) preload(await koffiLoaded(), gpu.preload);
    const { openBindingDriver } = await import('./binding-driver.ts');
    return { driver: openBindingDriver(gpu), ready: { runOptions: 0n } };
  }
  const koffi = await koffiLoaded();
  koffi.config({ sync_stack_size: STACK_BYTES });
  if (gpu) preload(koffi, gpu.preload);
  flushDenormals(koffi);
  const [{ openCapiDriver }, { openOrtApi }] = await Promise.all([import('./capi-driver.ts'), import('./ort-api.ts')]);
  const driver = openCapiDriver(openOrtApi(koffi, library), gpu);
  const close = async () => {
    await driver.close();
    returnFreedMemory(koffi);
  };
  return { driver: { ...driver, close }, ready: { runOptions: driver.runOptions } };
}

async function koffiLoaded(): Promise<Koffi> {
  const koffi = await loadKoffi();
  if (koffi instanceof Error) throw koffi;
  return koffi;
}

/** Libraries under their own names, so that ONNX Runtime finds them by these wherever they lie. */
function preload(koffi: Koffi, paths: readonly string[]): void {
  for (const path of paths) preloaded.push(koffi.load(path));
}

/** Gives ONNX Runtime the occasion to set this thread itself, which it takes once in a process. */
async function settleDenormals(driver: OrtDriver, probe: Uint8Array): Promise<void> {
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

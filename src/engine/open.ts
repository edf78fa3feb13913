/** Opening an engine: which device, and which way to ONNX Runtime. */
import { KdxError } from '../errors/index.ts';
import { claimAdapter } from './adapter-in-use.ts';
import { copiersFor, copyModel } from './copy-model.ts';
import type { DeviceReport } from './device-report.ts';
import { searchDevices, type DeviceSearch } from './device-search.ts';
import { chooseDevice, refusedReport, reportDevices, type Wanted } from './devices.ts';
import type { Backend, GpuData, OrtData, OrtReady, OrtSource } from './driver.ts';
import type { DeviceInfo, DeviceKind, Engine, EngineOptions } from './engine.ts';
import { setVariables } from './environment-variables.ts';
import { moduleBeside, startHost } from './host.ts';
import { loadKoffi, nativeLibrary, switchTelemetryOff, type Koffi, type NativeLibrary } from './library.ts';
import { openOrtApi, type OrtApi } from './ort-api.ts';
import { ortEngine } from './ort-engine.ts';
import { processor, type Processor } from './processor.ts';
import { runtimeBesideProvider } from './provider-folder.ts';

export interface OpenOptions extends EngineOptions {
  /** Default `auto`: the first available of cuda, webgpu, cpu. */
  readonly device?: 'auto' | DeviceKind;
  /** Number of the GPU among those of its kind, from 0; default: CUDA's first, the adapter that WebGPU prefers. */
  readonly index?: number;
  /** Default `auto`: the C API if koffi loads, else the Node binding. The variable KDX_ENGINE sets it too. */
  readonly backend?: 'auto' | Backend;
}

const backends: readonly string[] = ['auto', 'capi', 'binding'];
const backendNames: Readonly<Record<Backend, string>> = { capi: 'C API', binding: 'Node binding' };

/**
 * Starts an engine. It keeps the process alive only while it works.
 * @throws KdxError `device-unavailable`, `backend-unavailable`, `invalid-option`, `unsupported-platform`
 */
export async function openEngine(options: OpenOptions = {}): Promise<Engine> {
  switchTelemetryOff();
  const library = nativeLibrary();
  const cpu = processor();
  const threads = options.threads ?? cpu.threads;
  if (!Number.isInteger(threads) || threads < 1)
    throw new KdxError('invalid-option', `threads must be a whole number of at least 1, got ${threads}`);
  const koffi = await loadKoffi();
  const wanted = wantedDevice(options);
  const way = wantedBackend(options.backend);
  const search = searchDevices(library, koffi);
  const surroundings = { processor: cpu, ...search, noCapi: noCapi(way, koffi) };
  const start = async (device: DeviceInfo): Promise<Engine> => {
    const path = device.kind === 'cuda' ? runtimeBesideProvider(library, search.cuda().files) : library.path;
    const { backend, api, reason } = chooseBackend(way, { ...library, path }, koffi);
    const gpu = gpuOf(device.kind, search, options);
    const host = await startHost<OrtData, OrtSource, OrtReady>(
      moduleBeside(import.meta.url, 'ort-worker'),
      { backend, library: path, probe: copyModel('float32', [1]), ...(gpu && { gpu }) },
      ({ runOptions }) => api?.call('RunOptionsSetTerminate', runOptions),
    );
    const name = `onnxruntime ${library.version}, ${backendNames[backend]}`;
    return ortEngine(name, { ...device, reason: [device.reason, reason].filter(Boolean).join('; ') }, host);
  };
  let reports = reportDevices(surroundings, wanted);
  for (;;) {
    const device = chooseDevice(wanted, reports, threads);
    const report = reports.find(({ kind }) => kind === device.kind) as DeviceReport;
    const restore = setVariables(report.variables ?? {});
    try {
      if (device.kind === 'webgpu') claimAdapter(report.variables);
      const engine = await start(device);
      return { ...engine, close: () => engine.close().finally(restore) };
    } catch (error) {
      restore();
      if (device.kind === 'cpu') throw error;
      reports = reports.map((each) => (each === report ? refusedReport(report, error) : each));
    }
  }
}

function wantedDevice({ device = 'auto', index, tf32 }: OpenOptions): Wanted {
  if (index === undefined) return { device, tf32 };
  if (device === 'auto' || device === 'cpu')
    throw new KdxError('invalid-option', `device ${device} takes no number, got ${index}`, {
      suggestions: ['cuda and webgpu take one'],
    });
  if (!Number.isInteger(index) || index < 0)
    throw new KdxError('invalid-option', `the number of a device must be a whole number from 0 on, got ${index}`);
  return { device, index, tf32 };
}

/** What the driver needs beyond one for the CPU. */
function gpuOf(kind: DeviceKind, search: DeviceSearch, { index = 0, tf32 = false }: OpenOptions): GpuData | undefined {
  if (kind === 'cpu') return undefined;
  const copiers = copiersFor(kind);
  if (kind === 'cuda') return { kind, index, tf32, copiers, preload: search.cuda().libraries };
  const { loader, besideDriver } = search.vulkan();
  return { kind, copiers, preload: loader !== undefined && besideDriver ? [loader] : [] };
}

/** Why the C API cannot be called; undefined when it can. */
function noCapi(way: 'auto' | Backend, koffi: Koffi | Error): string | undefined {
  if (way === 'binding') return 'the Node binding was asked for';
  return koffi instanceof Error ? 'koffi does not load' : undefined;
}

function wantedBackend(option: OpenOptions['backend']): 'auto' | Backend {
  const wanted = option ?? process.env.KDX_ENGINE ?? 'auto';
  if (!backends.includes(wanted))
    throw new KdxError('invalid-option', `the engine backend ${JSON.stringify(wanted)} is not known`, {
      suggestions: [`set KDX_ENGINE to one of ${backends.join(', ')}`],
    });
  return wanted as 'auto' | Backend;
}

interface BackendChoice {
  readonly backend: Backend;
  readonly api?: OrtApi;
  /** Why it is not the first choice; empty when it is. */
  readonly reason: string;
}

function chooseBackend(wanted: 'auto' | Backend, library: NativeLibrary, koffi: Koffi | Error): BackendChoice {
  if (wanted === 'binding') return { backend: 'binding', reason: 'Node binding as asked' };
  const api = openApi(library, koffi);
  if (!(api instanceof Error)) return { backend: 'capi', api, reason: '' };
  const reason = `the C API of ONNX Runtime cannot be called: ${api.message.split('\n')[0]}`;
  if (wanted === 'auto') return { backend: 'binding', reason: `Node binding (slower), ${reason}` };
  throw new KdxError('backend-unavailable', reason, {
    suggestions: ['npm install koffi', 'or leave the choice to kdx: unset KDX_ENGINE'],
    exitCode: 1,
    cause: api,
  });
}

function openApi(library: NativeLibrary, koffi: Koffi | Error): OrtApi | Error {
  if (koffi instanceof Error) return koffi;
  try {
    const api = openOrtApi(koffi, library.path);
    if (api.version === library.version) return api;
    return new Error(`${library.path} is version ${api.version}, expected ${library.version}`);
  } catch (error) {
    return error as Error;
  }
}

/** What `kdx doctor` shows. */
export interface Probe {
  readonly devices: readonly DeviceReport[];
  readonly processor: Processor;
  readonly onnxruntime: { readonly version: string; readonly library: string };
  readonly backend: { readonly name: Backend; readonly reason: string };
}

/** Looks at devices, versions and the processor, without computing anything; may load Vulkan drivers. */
export async function probeDevices(): Promise<Probe> {
  switchTelemetryOff();
  const library = nativeLibrary();
  const cpu = processor();
  const koffi = await loadKoffi();
  const way = wantedBackend(undefined);
  const { backend, reason } = chooseBackend(way, library, koffi);
  return {
    devices: reportDevices({ processor: cpu, ...searchDevices(library, koffi), noCapi: noCapi(way, koffi) }),
    processor: cpu,
    onnxruntime: { version: library.version, library: library.path },
    backend: { name: backend, reason: reason || 'koffi loads: outputs are not copied, a run can be ended' },
  };
}

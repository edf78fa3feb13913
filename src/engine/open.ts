/** Opening an engine: which device, and which way to ONNX Runtime. */
import { KdxError } from '../errors/index.ts';
import { chooseDevice, libraryFolders, refusedReport, reportDevices, type DeviceReport } from './devices.ts';
import type { Backend, OrtData, OrtReady, OrtSource } from './driver.ts';
import type { DeviceInfo, DeviceKind, Engine, EngineOptions } from './engine.ts';
import { moduleBeside, startHost } from './host.ts';
import { copyModel, gpuData } from './copy-model.ts';
import { loadKoffi, nativeLibrary, switchTelemetryOff, type Koffi, type NativeLibrary } from './library.ts';
import { openOrtApi, type OrtApi } from './ort-api.ts';
import { ortEngine } from './ort-engine.ts';
import { processor, type Processor } from './processor.ts';
import { findVulkan, type Vulkan } from './vulkan.ts';

export interface OpenOptions extends EngineOptions {
  /** Default `auto`: the first available of cuda, webgpu, cpu. */
  readonly device?: 'auto' | DeviceKind;
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
  const vulkan = lookOnce(koffi);
  const wanted = options.device ?? 'auto';
  const { backend, api, reason } = chooseBackend(wantedBackend(options.backend), library, koffi);
  const start = async (device: DeviceInfo): Promise<Engine> => {
    const gpu = device.kind === 'webgpu' ? { gpu: gpuData(vulkan()) } : {};
    const host = await startHost<OrtData, OrtSource, OrtReady>(
      moduleBeside(import.meta.url, 'ort-worker'),
      { backend, library: library.path, probe: copyModel('float32', [1]), ...gpu },
      ({ runOptions }) => api?.call('RunOptionsSetTerminate', runOptions),
    );
    const name = `onnxruntime ${library.version}, ${backendNames[backend]}`;
    return ortEngine(name, { ...device, reason: [device.reason, reason].filter(Boolean).join('; ') }, host);
  };
  const reports = reportDevices({ library, processor: cpu, vulkan }, wanted);
  const device = chooseDevice(wanted, reports, threads);
  if (device.kind === 'cpu') return start(device);
  return start(device).catch((error: unknown) => {
    const tried = reports.map((report) => (report.kind === device.kind ? refusedReport(report, error) : report));
    return start(chooseDevice(wanted, tried, threads));
  });
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

function lookOnce(koffi: Koffi | Error): () => Vulkan {
  let found: Vulkan | undefined;
  return () => (found ??= findVulkan(libraryFolders(), process.env, koffi instanceof Error ? undefined : koffi));
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
  const { backend, reason } = chooseBackend(wantedBackend(undefined), library, koffi);
  return {
    devices: reportDevices({ library, processor: cpu, vulkan: lookOnce(koffi) }),
    processor: cpu,
    onnxruntime: { version: library.version, library: library.path },
    backend: { name: backend, reason: reason || 'koffi loads: outputs are not copied, a run can be ended' },
  };
}

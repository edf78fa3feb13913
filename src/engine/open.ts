/** Opening an engine: which device, and which way to ONNX Runtime. */
import { KdxError } from '../errors/index.ts';
import { modelOf, type Model } from '../graph/index.ts';
import { encodeModel } from '../onnx/index.ts';
import { chooseDevice, reportDevices, type DeviceReport } from './devices.ts';
import type { Backend, Ready } from './driver.ts';
import type { DeviceKind, Engine, EngineOptions } from './engine.ts';
import { startHost } from './host.ts';
import { loadKoffi, nativeLibrary, switchTelemetryOff, type NativeLibrary } from './library.ts';
import { openOrtApi, type OrtApi } from './ort-api.ts';
import { ortEngine } from './ort-engine.ts';
import { processor, type Processor } from './processor.ts';

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
  const device = chooseDevice(options.device ?? 'auto', reportDevices({ library, processor: cpu }), cpu, threads);
  const { backend, api, reason } = await chooseBackend(wantedBackend(options.backend), library);
  const host = await startHost(
    { backend, library: library.path, probe: encodeModel(probeModel()).bytes },
    ({ runOptions }: Ready) => api?.call('RunOptionsSetTerminate', runOptions),
  );
  const name = `onnxruntime ${library.version}, ${backendNames[backend]}`;
  return ortEngine(name, { ...device, reason: [device.reason, reason].filter(Boolean).join('; ') }, host);
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

async function chooseBackend(wanted: 'auto' | Backend, library: NativeLibrary): Promise<BackendChoice> {
  if (wanted === 'binding') return { backend: 'binding', reason: 'Node binding as asked' };
  const api = await openApi(library);
  if (!(api instanceof Error)) return { backend: 'capi', api, reason: '' };
  const reason = `the C API of ONNX Runtime cannot be called: ${api.message.split('\n')[0]}`;
  if (wanted === 'auto') return { backend: 'binding', reason: `Node binding (slower), ${reason}` };
  throw new KdxError('backend-unavailable', reason, {
    suggestions: ['npm install koffi', 'or leave the choice to kdx: unset KDX_ENGINE'],
    exitCode: 1,
    cause: api,
  });
}

async function openApi(library: NativeLibrary): Promise<OrtApi | Error> {
  const koffi = await loadKoffi();
  if (koffi instanceof Error) return koffi;
  try {
    const api = openOrtApi(koffi, library.path);
    if (api.version === library.version) return api;
    return new Error(`${library.path} is version ${api.version}, expected ${library.version}`);
  } catch (error) {
    return error as Error;
  }
}

/** One node, for the worker's first session. */
function probeModel(): Model {
  const info = (name: string) => ({ name, dtype: 'float32', shape: [1] }) as const;
  return modelOf({
    name: 'probe',
    inputs: [info('x')],
    outputs: [info('y')],
    initializers: new Map(),
    nodes: [{ name: '', opType: 'Identity', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
    values: new Map(),
  });
}

/** What `kdx doctor` shows. */
export interface Probe {
  readonly devices: readonly DeviceReport[];
  readonly processor: Processor;
  readonly onnxruntime: { readonly version: string; readonly library: string };
  readonly backend: { readonly name: Backend; readonly reason: string };
}

/** Looks at devices, versions and the processor, without computing anything. */
export async function probeDevices(): Promise<Probe> {
  switchTelemetryOff();
  const library = nativeLibrary();
  const cpu = processor();
  const { backend, reason } = await chooseBackend(wantedBackend(undefined), library);
  return {
    devices: reportDevices({ library, processor: cpu }),
    processor: cpu,
    onnxruntime: { version: library.version, library: library.path },
    backend: { name: backend, reason: reason || 'koffi loads: outputs are not copied, a run can be ended' },
  };
}

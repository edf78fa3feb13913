/** Opening an engine: which device, which backend of TensorFlow.js, how many threads. */
import { moduleBeside, processor, startHost, type DeviceKind, type Engine } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import type { TfjsSource } from './driver.ts';
import { engineOn } from './engine.ts';
import { backends, type Backend, type Loaded } from './load.ts';

export interface TfjsOptions {
  /** Default `auto`: a GPU if tfjs-node-gpu finds one, else the processor. */
  readonly device?: 'auto' | DeviceKind;
  /** Threads of the native binding, default: physical cores. WebAssembly and JavaScript have one. */
  readonly threads?: number;
  /** Default: the first that loads, native before WebAssembly before JavaScript. */
  readonly backend?: Backend;
}

/**
 * Starts an engine in a thread of its own. Session options that tune ONNX Runtime have no effect.
 * @throws KdxError `tensorflow-missing`, `device-unavailable`
 */
export async function tfjsEngine(options: TfjsOptions = {}): Promise<Engine> {
  const { device = 'auto', threads: wanted = processor().threads, backend } = options;
  if (device === 'webgpu')
    throw new KdxError('device-unavailable', 'TensorFlow.js has no WebGPU in Node', {
      suggestions: ['--device cpu or cuda', '--engine ort --device webgpu'],
    });
  // TensorFlow reads both once in a process, when its library is loaded.
  process.env.TF_NUM_INTRAOP_THREADS = String(wanted);
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  const host = await startHost<readonly Backend[], TfjsSource, Omit<Loaded, 'tf'>>(
    moduleBeside(import.meta.url, 'worker'),
    backend ? [backend] : backendsFor(device),
  );
  const { isGpu, version, backend: found, passed } = host.ready;
  const kind = isGpu ? 'cuda' : 'cpu';
  if (device === 'cuda' && !isGpu) {
    await host.close();
    throw new KdxError('device-unavailable', `TensorFlow.js ${version}, ${found}, finds no GPU`, {
      suggestions: ['TF_CPP_MIN_LOG_LEVEL=0 before the same command shows why', '--device auto'],
    });
  }
  const threads = isNative(found) ? wanted : 1;
  return engineOn(host, `tensorflow.js ${version}, ${found}`, {
    kind,
    description: `${kind} (TensorFlow.js, ${titles[found]}, ${threads} thread${threads > 1 ? 's' : ''})`,
    reason: ['the engine asked for', ...passed].join('; '),
    threads,
  });
}

const titles: Readonly<Record<Backend, string>> = {
  'node-gpu': 'native',
  node: 'native',
  wasm: 'WebAssembly',
  cpu: 'JavaScript',
};

function isNative(backend: Backend): boolean {
  return titles[backend] === 'native';
}

function backendsFor(device: 'auto' | 'cpu' | 'cuda'): readonly Backend[] {
  if (device === 'auto') return backends;
  return device === 'cuda' ? ['node-gpu'] : backends.filter((name) => name !== 'node-gpu');
}

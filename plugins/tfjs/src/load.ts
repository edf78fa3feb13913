/** Finds a TensorFlow.js that loads: the native binding on a GPU or CPU, WebAssembly, or plain JavaScript. */
import { createRequire } from 'node:module';
import { KdxError } from 'kdx/errors';
import type { TensorFlow } from './tensorflow.ts';

/** Best first. */
export const backends = ['node-gpu', 'node', 'wasm', 'cpu'] as const;
export type Backend = (typeof backends)[number];

export interface Loaded {
  readonly tf: TensorFlow;
  readonly backend: Backend;
  readonly version: string;
  readonly isGpu: boolean;
  /** Why the ones before it were not taken. */
  readonly passed: readonly string[];
}

/** All packages are CommonJS. */
const require = createRequire(import.meta.url);
const load = (name: string) => require(name) as TensorFlow;

type Found = Pick<Loaded, 'tf' | 'isGpu'>;

const loaders: Readonly<Record<Backend, () => Promise<Found>>> = {
  // Taken without a GPU too: it has all that tfjs-node has, and only one of the two can be in a process.
  'node-gpu': () => native('@tensorflow/tfjs-node-gpu'),
  node: () => native('@tensorflow/tfjs-node'),
  wasm: () => portable('wasm', '@tensorflow/tfjs-backend-wasm'),
  cpu: () => portable('cpu', '@tensorflow/tfjs-backend-cpu'),
};

/** Native addons that were loaded on the way, from whatever package. */
export function loadedAddons(): string[] {
  return Object.keys(require.cache).filter((path) => path.endsWith('.node'));
}

/** @throws KdxError `tensorflow-missing` that says why each of the backends does not load */
export async function loadTensorflow(wanted: readonly Backend[]): Promise<Loaded> {
  const passed: string[] = [];
  for (const backend of wanted) {
    try {
      const { tf, isGpu } = await loaders[backend]();
      const version = tf.version_core ?? tf.version?.['tfjs-core'] ?? 'of unknown version';
      return { tf, isGpu, backend, version, passed };
    } catch (error) {
      passed.push(`${backend}: ${reasonOf(error)}`);
    }
  }
  const suggestions = wanted.map((backend) => installs[backend]);
  throw new KdxError('tensorflow-missing', `no TensorFlow.js can be loaded: ${passed.join('; ')}`, {
    suggestions: [...suggestions, '--engine ort, which needs none of them'],
  });
}

const installs: Readonly<Record<Backend, string>> = {
  'node-gpu': 'npm install @tensorflow/tfjs-node-gpu, for an NVIDIA GPU',
  node: 'npm install @tensorflow/tfjs-node, native code for the processor',
  wasm: 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm, slower',
  cpu: 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-cpu, slowest',
};

async function native(name: string): Promise<Found> {
  const tf = load(name);
  tf.enableProdMode();
  await tf.ready();
  return { tf, isGpu: (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true };
}

async function portable(backend: string, name: string): Promise<Found> {
  const tf = load('@tensorflow/tfjs-core');
  // Otherwise TensorFlow.js advises to install its native binding, at each start.
  tf.enableProdMode();
  load(name);
  if (!(await tf.setBackend(backend))) throw new Error('its backend cannot be initialised');
  await tf.ready();
  return { tf, isGpu: false };
}

function reasonOf(error: unknown): string {
  const { code, message = String(error) } = error as NodeJS.ErrnoException;
  const missing = /Cannot find module '([^']+)'/.exec(message)?.[1];
  if (code === 'MODULE_NOT_FOUND' && missing?.startsWith('@tensorflow/')) return `${missing} is not installed`;
  return (message.split('\n')[0] as string).slice(0, 300);
}

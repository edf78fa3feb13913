/** What kdx finds on this machine: versions, devices, optional parts, and why one is missing. */
import { accessSync, constants } from 'node:fs';
import { totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { probeDevices, type Probe } from '../engine/index.ts';
import { kdxVersions, packageVersion } from '../recipe/index.ts';

/** Something kdx works without. */
export interface OptionalPart {
  readonly name: string;
  /** Version or path; undefined when it is missing. */
  readonly found: string | undefined;
  readonly use: string;
  /** How to get it. */
  readonly suggestion: string;
}

export interface Surroundings extends Probe {
  readonly versions: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly optional: readonly OptionalPart[];
}

/** In the order in which the tfjs plugin tries them. */
const tensorflowPackages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node', '@tensorflow/tfjs-backend-wasm'];

const chromiumNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

export async function examineSurroundings(): Promise<Surroundings> {
  return {
    versions: kdxVersions(),
    memoryBytes: totalmem(),
    ...(await probeDevices()),
    optional: [
      {
        name: 'koffi',
        found: versionOf('koffi'),
        use: "calls ONNX Runtime's C API: faster training, runs that can be ended",
        suggestion: 'npm install koffi',
      },
      {
        name: 'onnxruntime-web',
        found: versionOf('onnxruntime-web'),
        use: 'checks exported files on WebAssembly; kdx export --demo, kdx bench --export-runner',
        suggestion: 'npm install onnxruntime-web',
      },
      {
        name: 'tensorflow.js',
        found: tensorflowPackages.flatMap((name) => (versionOf(name) ? [`${name} ${versionOf(name)}`] : []))[0],
        use: 'another executor: --engine tfjs',
        suggestion: 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm, or @tensorflow/tfjs-node',
      },
      {
        name: 'chromium',
        found: findProgram(chromiumNames),
        use: 'tests in a browser, and of WebGPU without a GPU',
        suggestion: 'Debian, Ubuntu: apt-get install chromium',
      },
    ],
  };
}

function versionOf(name: string): string | undefined {
  const version = packageVersion(name);
  return version === 'not installed' ? undefined : version;
}

/** The first of the programs on the path. */
export function findProgram(names: readonly string[], path = process.env.PATH ?? ''): string | undefined {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  const candidates = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return candidates.find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

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

const chromiumNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

export async function examineSurroundings(): Promise<Surroundings> {
  const koffi = packageVersion('koffi');
  return {
    versions: kdxVersions(),
    memoryBytes: totalmem(),
    ...(await probeDevices()),
    optional: [
      {
        name: 'koffi',
        found: koffi === 'not installed' ? undefined : koffi,
        use: "calls ONNX Runtime's C API: faster training, runs that can be ended",
        suggestion: 'npm install koffi',
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

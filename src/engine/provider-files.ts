/** The files of ONNX Runtime's CUDA provider: beside onnxruntime-node's library, or in a folder that the user names. */
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { readSharedObject } from './elf.ts';
import type { NativeLibrary } from './library.ts';
import { namesIn } from './library-folders.ts';
import type { Problem } from './device-report.ts';

export const providerNames = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'] as const;
/** The variable that names a folder of the provider. */
export const providerVariable = 'KDX_ORT_CUDA';

export interface ProviderFiles {
  readonly folder: string;
  /** The ONNX Runtime that comes with the provider in the user's folder; undefined: onnxruntime-node's is used. */
  readonly runtime: string | undefined;
  /** The provider's library, which names those that it needs; undefined where it is not there. */
  readonly provider: string | undefined;
  readonly problems: readonly Problem[];
}

/** Below a folder that was named too high: Microsoft's archive, and the Python package. */
const subfolders = ['.', 'lib', 'capi', join('onnxruntime', 'capi')];
const runtimeName = /^libonnxruntime\.so(\.\d+)*$/;
/** ONNX Runtime's linker script names the version of all its functions so, without which nothing could tell it unloaded. */
const versionName = /^VERS_(\d+\.\d+\.\d+)$/;

/**
 * Found by looking: nothing is loaded.
 * @param named value of KDX_ORT_CUDA
 */
export function findProviderFiles(library: NativeLibrary, named: string | undefined): ProviderFiles {
  if (!named) return filesIn(library.folder, undefined, library.version, `beside onnxruntime-node`);
  const root = resolve(named);
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
    const what = `the folder ${root}, which ${providerVariable} names`;
    return { folder: root, runtime: undefined, provider: undefined, problems: [{ what, tries: packages(library) }] };
  }
  const candidates = subfolders.map((below) => join(root, below));
  const folder = candidates.find((each) => namesIn(each).some(isOfProvider)) ?? root;
  const runtimes = namesIn(folder).filter((name) => runtimeName.test(name));
  const runtime = runtimes.find((name) => name === 'libonnxruntime.so.1') ?? runtimes[0];
  return filesIn(folder, runtime && join(folder, runtime), library.version, `in ${folder}`);
}

const isOfProvider = (name: string) => runtimeName.test(name) || (providerNames as readonly string[]).includes(name);

function filesIn(folder: string, runtime: string | undefined, version: string, place: string): ProviderFiles {
  const absent = providerNames.filter((name) => !existsSync(join(folder, name)));
  const problems: Problem[] = [];
  const found = runtime === undefined ? version : versionOf(runtime);
  if (found !== version) {
    const is = found === undefined ? `${basename(runtime ?? '')} is something else` : `there is ${found}`;
    problems.push({ what: `ONNX Runtime ${version} ${place} (${is})`, tries: packages({ version }) });
  } else if (absent.length > 0) {
    const cpuOnly = runtime !== undefined ? `, which has an ONNX Runtime without CUDA` : '';
    const what = `${absent.join(' and ')} (CUDA provider of ONNX Runtime) ${place}${cpuOnly}`;
    problems.push({ what, tries: runtime === undefined ? sources({ version }) : packages({ version }) });
  }
  const provider = join(folder, providerNames[1]);
  return { folder, runtime, provider: existsSync(provider) ? provider : undefined, problems };
}

/** The version of a library of ONNX Runtime; undefined for anything else. */
function versionOf(runtime: string): string | undefined {
  return readSharedObject(runtime)
    ?.versions.map((name) => versionName.exec(name)?.[1])
    .find((version) => version !== undefined);
}

/** What brings the provider's files into a folder of the user's. */
function packages({ version }: Pick<NativeLibrary, 'version'>): string[] {
  return [
    `set ${providerVariable} to the folder of the libraries in the PyPI package onnxruntime-gpu ${version} ` +
      `(.../site-packages/onnxruntime/capi), or in the GPU archive of ONNX Runtime ${version} for Linux ` +
      '(https://github.com/microsoft/onnxruntime/releases)',
  ];
}

function sources(library: Pick<NativeLibrary, 'version'>): string[] {
  const install = 'ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install';
  return [`run: ${install} (downloads it from NuGet)`, ...packages(library).map((line) => `or ${line}`)];
}

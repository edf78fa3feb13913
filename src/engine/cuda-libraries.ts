/** The libraries of NVIDIA that the CUDA provider needs: named by its own file, looked for where the system looks. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Problem } from './device-report.ts';
import { readSharedObject } from './elf.ts';
import { findLibrary, namesIn } from './library-folders.ts';

export const driverName = 'libcuda.so.1';

export interface CudaLibraries {
  /** Major version of CUDA that the provider was built for. */
  readonly major: number;
  /** Paths of those found, dependencies before what needs them. */
  readonly found: readonly string[];
  readonly problems: readonly Problem[];
}

interface Part {
  readonly what: string;
  /** Name of the package on PyPI, from CUDA 13 on; before, it ends in -cu12 and the like. */
  readonly pip: string;
}

/** By the name of the library without its version. */
const parts: Readonly<Record<string, Part>> = {
  libcudart: { what: 'CUDA runtime', pip: 'nvidia-cuda-runtime' },
  libcublas: { what: 'cuBLAS', pip: 'nvidia-cublas' },
  libcublasLt: { what: 'cuBLAS', pip: 'nvidia-cublas' },
  libcurand: { what: 'cuRAND', pip: 'nvidia-curand' },
  libcufft: { what: 'cuFFT', pip: 'nvidia-cufft' },
  libcusparse: { what: 'cuSPARSE', pip: 'nvidia-cusparse' },
  libcusolver: { what: 'cuSOLVER', pip: 'nvidia-cusolver' },
  libnvrtc: { what: 'CUDA compiler', pip: 'nvidia-cuda-nvrtc' },
  libnvJitLink: { what: 'CUDA linker', pip: 'nvidia-nvjitlink' },
  libcudnn: { what: 'cuDNN', pip: 'nvidia-cudnn-cu' },
};

/**
 * Reductions need cuDNN, which ONNX Runtime 1.30 does not link with but opens by this name
 * (onnxruntime/core/providers/cuda/cudnn_loader.cc).
 */
const openedByName = 'libcudnn.so.9';
const ofNvidia = /^lib(cu|nv)/;

/** @param folders in which the system looks for libraries */
export function findCudaLibraries(provider: string, folders: readonly string[]): CudaLibraries {
  const needed = (readSharedObject(provider)?.needed ?? []).filter((file) => ofNvidia.test(file));
  if (needed.length === 0) {
    const what = `a CUDA provider in ${provider} (this file needs no library of CUDA)`;
    return { major: 0, found: [], problems: [{ what, tries: [] }] };
  }
  const major = majorOf(needed);
  const places = [...folders, ...pipFolders(provider)];
  const wanted = needed.filter((file) => file !== driverName);
  if (!wanted.some((file) => stemOf(file) === 'libcudnn')) wanted.push(openedByName);
  const paths = wanted.map((file) => ({ file, path: findLibrary(file, places) }));
  const absent = paths.filter(({ path }) => path === undefined).map(({ file }) => file);
  return {
    major,
    found: dependenciesFirst(paths.flatMap(({ path }) => path ?? [])),
    problems: absent.length === 0 ? [] : [problemOf(absent, major, places)],
  };
}

/** The version in `libcudart.so.13`; cuBLAS has the same. */
function majorOf(needed: readonly string[]): number {
  const file = ['libcudart', 'libcublas'].flatMap((stem) => needed.filter((each) => stemOf(each) === stem))[0];
  return Number(/\.so\.(\d+)/.exec(file ?? '')?.[1] ?? 0);
}

function stemOf(file: string): string {
  return file.replace(/\.so(\..*)?$/, '');
}

/** In a Python environment NVIDIA's packages are beside ONNX Runtime's: site-packages/nvidia/<package>/lib. */
function pipFolders(provider: string): string[] {
  const ancestors: string[] = [];
  for (let folder = dirname(provider); folder !== dirname(folder); folder = dirname(folder)) ancestors.push(folder);
  return ancestors.flatMap((ancestor) => {
    const root = join(ancestor, 'nvidia');
    return namesIn(root).map((name) => join(root, name, 'lib'));
  });
}

function problemOf(absent: readonly string[], major: number, places: readonly string[]): Problem {
  const told = absent.map((file) => {
    const what = parts[stemOf(file)]?.what;
    const other = otherVersion(file, places);
    return `${file} (${[what ?? 'of NVIDIA', ...(other ? [`there is ${other}`] : [])].join('; ')})`;
  });
  const named = [...new Set(absent.flatMap((file) => parts[stemOf(file)]?.pip ?? []))];
  const pip = named.map((name) => pipName(name, major)).join(' ');
  const toolkit = absent.some((file) => stemOf(file) !== 'libcudnn') ? [`the CUDA Toolkit ${major}`] : [];
  const cudnn = absent.some((file) => stemOf(file) === 'libcudnn') ? [`cuDNN 9 for CUDA ${major}`] : [];
  const system = [...toolkit, ...cudnn].join(' and ');
  return {
    what: told.join(', '),
    tries: [
      `install ${system} (https://developer.nvidia.com), or: pip install ${pip}, ` +
        'with the folders nvidia/*/lib of the Python environment in LD_LIBRARY_PATH',
    ],
  };
}

function pipName(name: string, major: number): string {
  if (name.endsWith('-cu')) return `${name}${major}`;
  return major >= 13 ? name : `${name}-cu${major}`;
}

/** The same library of another version. */
function otherVersion(file: string, places: readonly string[]): string | undefined {
  const start = `${stemOf(file)}.so.`;
  const found = places.flatMap((folder) => namesIn(folder).map((name) => join(folder, name)));
  return found.find((path) => basename(path).startsWith(start) && existsSync(path));
}

/** Each after those of the list that it needs. */
function dependenciesFirst(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  const order: string[] = [];
  const visit = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    const needed = readSharedObject(path)?.needed ?? [];
    paths.filter((other) => needed.includes(basename(other))).forEach(visit);
    order.push(path);
  };
  paths.forEach(visit);
  return order;
}

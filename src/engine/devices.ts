/** Which devices there are, which one is taken, and what the others lack. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import type { DeviceInfo, DeviceKind } from './engine.ts';
import type { NativeLibrary } from './library.ts';
import type { Processor } from './processor.ts';

export interface DeviceReport {
  readonly kind: DeviceKind;
  readonly available: boolean;
  /** One line: what it is, or what is missing. */
  readonly reason: string;
  /** What to install or do, one line each. */
  readonly suggestions: readonly string[];
}

/** In the order in which `auto` tries them. */
const preference: readonly DeviceKind[] = ['cuda', 'webgpu', 'cpu'];

interface Need {
  readonly file: string;
  /** Beside ONNX Runtime's own library, or where the system looks for libraries. */
  readonly place: 'provider' | 'system';
  readonly what: string;
  readonly suggestion: string;
}

const installProvider =
  'run: ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install (downloads it from NuGet)';

const needs: Readonly<Record<Exclude<DeviceKind, 'cpu'>, Partial<Record<NodeJS.Platform, readonly Need[]>>>> = {
  cuda: {
    linux: [
      ...['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'].map((file): Need => ({
        file,
        place: 'provider',
        what: 'CUDA provider of ONNX Runtime',
        suggestion: installProvider,
      })),
      { file: 'libcuda.so.1', place: 'system', what: 'NVIDIA driver', suggestion: 'install the NVIDIA driver' },
      {
        file: 'libcudnn.so.9',
        place: 'system',
        what: 'cuDNN 9',
        suggestion: 'install cuDNN 9, or put its folder in LD_LIBRARY_PATH',
      },
    ],
  },
  webgpu: {
    linux: [
      {
        file: 'libvulkan.so.1',
        place: 'system',
        what: 'Vulkan loader',
        suggestion: 'install the Vulkan loader (Debian, Ubuntu: libvulkan1) and the driver of the GPU',
      },
    ],
    win32: [],
    darwin: [],
  },
};

const systemFolders = [
  ...['/usr/lib', '/usr/lib64', '/lib', '/lib64', '/usr/local/lib', '/usr/local/cuda/lib64', '/usr/lib/wsl/lib'],
  ...['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'],
];

export interface Surroundings {
  readonly library: NativeLibrary;
  readonly processor: Processor;
  readonly platform?: NodeJS.Platform;
  /** Folders in which the system looks for libraries. */
  readonly folders?: readonly string[];
}

/** A report for each device. Only the CPU is used so far; for the others it says what else would be missing. */
export function reportDevices(surroundings: Surroundings): DeviceReport[] {
  return preference.map((kind) => (kind === 'cpu' ? cpuReport(surroundings.processor) : gpuReport(kind, surroundings)));
}

function cpuReport(processor: Processor): DeviceReport {
  const flags = processor.flags.length > 0 ? `, ${processor.flags.join(' ')}` : '';
  const reason = `${processor.model}, ${processor.cores} cores, ${processor.threads} threads${flags}`;
  return { kind: 'cpu', available: true, reason, suggestions: [] };
}

function gpuReport(kind: Exclude<DeviceKind, 'cpu'>, surroundings: Surroundings): DeviceReport {
  const { library, platform = process.platform, folders = [...loaderFolders(), ...systemFolders] } = surroundings;
  const wanted = needs[kind][platform];
  const missing = (wanted ?? []).filter(({ file, place }) =>
    (place === 'provider' ? [library.folder] : folders).every((folder) => !existsSync(join(folder, file))),
  );
  const reasons = ['kdx does not compute on it yet'];
  if (!wanted) reasons.push(`ONNX Runtime has no ${kind} provider for ${platform}`);
  else if (missing.length > 0)
    reasons.push(`missing: ${missing.map(({ file, what }) => `${file} (${what})`).join(', ')}`);
  return {
    kind,
    available: false,
    reason: reasons.join('; '),
    suggestions: [...new Set(missing.map(({ suggestion }) => suggestion)), 'use --device cpu'],
  };
}

function loaderFolders(): string[] {
  return (process.env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== '');
}

/**
 * The device to use.
 * @throws KdxError `device-unavailable`
 */
export function chooseDevice(
  wanted: 'auto' | DeviceKind,
  reports: readonly DeviceReport[],
  processor: Processor,
  threads: number,
): DeviceInfo {
  const find = (kind: DeviceKind) => reports.find((report) => report.kind === kind) as DeviceReport;
  const chosen = wanted === 'auto' ? (reports.find((report) => report.available) as DeviceReport) : find(wanted);
  if (!chosen.available)
    throw new KdxError('device-unavailable', `device ${wanted} is not available: ${chosen.reason}`, {
      suggestions: chosen.suggestions,
      exitCode: 1,
    });
  const before = reports.slice(0, reports.indexOf(chosen));
  return {
    kind: chosen.kind,
    description: `${chosen.kind} (${processor.model}, ${threads} ${threads === 1 ? 'thread' : 'threads'})`,
    reason: wanted === 'auto' ? before.map(({ kind, reason }) => `${kind}: ${reason}`).join('; ') : 'as asked',
    threads,
  };
}

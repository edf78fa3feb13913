/** Which devices there are, which one is taken, and what the others lack. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import type { DeviceInfo, DeviceKind } from './engine.ts';
import type { NativeLibrary } from './library.ts';
import type { Processor } from './processor.ts';
import type { Vulkan } from './vulkan.ts';

export interface DeviceReport {
  readonly kind: DeviceKind;
  readonly available: boolean;
  /** Available, but `auto` does not take it. */
  readonly onlyByName: boolean;
  /** For people: the processor or the adapter. */
  readonly name: string;
  /** One line: what it is, or what is missing. */
  readonly reason: string;
  /** What to install or do, one line each. */
  readonly suggestions: readonly string[];
}

interface Need {
  readonly file: string;
  /** Beside ONNX Runtime's own library, or where the system looks for libraries. */
  readonly place: 'provider' | 'system';
  readonly what: string;
  readonly suggestion: string;
}

const cudaNeeds: readonly Need[] = [
  ...['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'].map((file): Need => ({
    file,
    place: 'provider',
    what: 'CUDA provider of ONNX Runtime',
    suggestion:
      'run: ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install (downloads it from NuGet)',
  })),
  { file: 'libcuda.so.1', place: 'system', what: 'NVIDIA driver', suggestion: 'install the NVIDIA driver' },
  {
    file: 'libcudnn.so.9',
    place: 'system',
    what: 'cuDNN 9',
    suggestion: 'install cuDNN 9, or put its folder in LD_LIBRARY_PATH',
  },
];

/** Platforms whose library of onnxruntime-node 1.30 has the WebGPU provider in it, and what that computes with. */
const webgpuPlatforms: Readonly<Record<string, 'Vulkan' | 'Direct3D 12' | 'Metal'>> = {
  'linux/x64': 'Vulkan',
  'win32/x64': 'Direct3D 12',
  'win32/arm64': 'Direct3D 12',
  'darwin/arm64': 'Metal',
};

const installLoader = 'install the Vulkan loader (Debian, Ubuntu: apt-get install libvulkan1)';
const installDriver = 'install the Vulkan driver of the GPU (Debian, Ubuntu: mesa-vulkan-drivers or nvidia-driver)';
const installSoftware =
  'to try it without a GPU: install chromium and set VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json';
const useCpu = 'use --device cpu';

const systemFolders = [
  ...['/usr/lib', '/usr/lib64', '/lib', '/lib64', '/usr/local/lib', '/usr/local/cuda/lib64', '/usr/lib/wsl/lib'],
  ...['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'],
];

export interface Surroundings {
  readonly library: NativeLibrary;
  readonly processor: Processor;
  /** Looks at Vulkan: asked only where a report needs it, since it may load drivers. */
  readonly vulkan: () => Vulkan;
  readonly platform?: NodeJS.Platform;
  /** Folders in which the system looks for libraries. */
  readonly folders?: readonly string[];
}

/** Folders in which this system looks for libraries. */
export function libraryFolders(): string[] {
  return [...(process.env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== ''), ...systemFolders];
}

const reporters: Readonly<Record<DeviceKind, (surroundings: Surroundings) => DeviceReport>> = {
  cuda: cudaReport,
  webgpu: webgpuReport,
  cpu: cpuReport,
};

/** A report for each device, in the order in which `auto` tries them, or for one. */
export function reportDevices(surroundings: Surroundings, wanted: 'auto' | DeviceKind = 'auto'): DeviceReport[] {
  if (wanted !== 'auto') return [reporters[wanted](surroundings)];
  return Object.values(reporters).map((report) => report(surroundings));
}

function cpuReport({ processor }: Surroundings): DeviceReport {
  const flags = processor.flags.length > 0 ? `, ${processor.flags.join(' ')}` : '';
  const reason = `${processor.model}, ${processor.cores} cores, ${processor.threads} threads${flags}`;
  return { kind: 'cpu', available: true, onlyByName: false, name: processor.model, reason, suggestions: [] };
}

function missing(kind: DeviceKind, reason: string, suggestions: readonly string[]): DeviceReport {
  return { kind, available: false, onlyByName: false, name: '', reason, suggestions: [...suggestions, useCpu] };
}

function cudaReport({ library, platform = process.platform, folders = libraryFolders() }: Surroundings): DeviceReport {
  const reasons = ['kdx does not compute on it yet'];
  const absent = (platform === 'linux' ? cudaNeeds : []).filter(({ file, place }) =>
    (place === 'provider' ? [library.folder] : folders).every((folder) => !existsSync(join(folder, file))),
  );
  if (platform !== 'linux') reasons.push(`ONNX Runtime has no cuda provider for ${platform}`);
  else if (absent.length > 0)
    reasons.push(`missing: ${absent.map(({ file, what }) => `${file} (${what})`).join(', ')}`);
  return missing('cuda', reasons.join('; '), [...new Set(absent.map(({ suggestion }) => suggestion))]);
}

function webgpuReport({ processor, vulkan, platform = process.platform }: Surroundings): DeviceReport {
  const place = `${platform}/${processor.architecture}`;
  const system = webgpuPlatforms[place];
  if (!system) return missing('webgpu', `ONNX Runtime has no webgpu provider for ${place}`, []);
  if (system !== 'Vulkan')
    return unexamined(`${system}; kdx cannot look at the adapters of this system, and was not tried on it`);
  const { loader, drivers, problem, adapters } = vulkan();
  const absent = [
    ...(loader === undefined ? [{ what: 'libvulkan.so.1 (Vulkan loader)', tries: [installLoader] }] : []),
    ...(drivers.length === 0
      ? [{ what: `a Vulkan driver (${problem})`, tries: [installDriver, installSoftware] }]
      : []),
  ];
  if (absent.length > 0)
    return missing(
      'webgpu',
      `missing: ${absent.map(({ what }) => what).join(', ')}`,
      absent.flatMap(({ tries }) => tries),
    );
  if (!adapters) return unexamined('Vulkan; its adapters cannot be looked at without koffi');
  const [first, ...others] = adapters;
  if (!first)
    return missing('webgpu', `no adapter: ${drivers.join(', ')} found none`, [installDriver, installSoftware]);
  const onlyByName = first.type === 'software';
  const notes = [
    onlyByName ? 'a software adapter, for tests: auto does not take it' : `${first.type} GPU`,
    ...(others.length > 0 ? [`not used: ${others.map(({ name }) => name).join(', ')}`] : []),
  ];
  const reason = `${first.name} (${notes.join('; ')})`;
  return { kind: 'webgpu', available: true, onlyByName, name: first.name, reason, suggestions: [] };
}

/** Of a device that was there for us, and not for ONNX Runtime. */
export function refusedReport({ kind, name }: DeviceReport, error: unknown): DeviceReport {
  const message = error instanceof Error ? error.message : String(error);
  const reason = message.trim().replace(/^.* was false\. /s, '');
  return missing(kind, `ONNX Runtime refuses ${name}: ${reason}`, ['update the driver of the GPU']);
}

/** Nothing speaks against it, and nobody looked. */
function unexamined(reason: string): DeviceReport {
  return { kind: 'webgpu', available: true, onlyByName: true, name: 'unknown adapter', reason, suggestions: [] };
}

/**
 * The device to use.
 * @throws KdxError `device-unavailable`
 */
export function chooseDevice(
  wanted: 'auto' | DeviceKind,
  reports: readonly DeviceReport[],
  threads: number,
): DeviceInfo {
  const fits = ({ kind, available, onlyByName }: DeviceReport) =>
    wanted === 'auto' ? available && !onlyByName : kind === wanted;
  const chosen = reports.find(fits) as DeviceReport;
  if (!chosen.available)
    throw new KdxError('device-unavailable', `device ${wanted} is not available: ${chosen.reason}`, {
      suggestions: chosen.suggestions,
      exitCode: 1,
    });
  const before = reports.slice(0, reports.indexOf(chosen));
  const asked = chosen.onlyByName ? `as asked: ${chosen.reason}` : 'as asked';
  return {
    kind: chosen.kind,
    description: `${chosen.kind} (${chosen.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'})`,
    reason: wanted === 'auto' ? before.map(({ kind, reason }) => `${kind}: ${reason}`).join('; ') : asked,
    threads,
  };
}

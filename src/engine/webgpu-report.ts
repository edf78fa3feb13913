/** What is said of WebGPU as a device. */
import type { Selection } from './adapter-selection.ts';
import { lacking, missing, outOfRange, type DeviceReport } from './device-report.ts';
import type { Vulkan } from './vulkan.ts';

/** Platforms whose library of onnxruntime-node 1.30 has the WebGPU provider in it, and what that computes with. */
const platforms: Readonly<Record<string, 'Vulkan' | 'Direct3D 12' | 'Metal'>> = {
  'linux/x64': 'Vulkan',
  'win32/x64': 'Direct3D 12',
  'win32/arm64': 'Direct3D 12',
  'darwin/arm64': 'Metal',
};

const installLoader = 'install the Vulkan loader (Debian, Ubuntu: apt-get install libvulkan1)';
const installDriver = 'install the Vulkan driver of the GPU (Debian, Ubuntu: mesa-vulkan-drivers or nvidia-driver)';
const installSoftware =
  'to try it without a GPU: install chromium and set VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json';

export interface WebgpuSurroundings {
  readonly platform: NodeJS.Platform;
  readonly architecture: string;
  /** Looks at Vulkan: asked only where a report needs it, since it may load drivers. */
  readonly vulkan: () => Vulkan;
  /** How an adapter is chosen. */
  readonly selectAdapter: (index: number) => Selection;
  /** Number of the adapter; default: the one that the provider prefers. */
  readonly index: number | undefined;
}

export function webgpuReport(surroundings: WebgpuSurroundings): DeviceReport {
  const { platform, architecture, vulkan, selectAdapter, index } = surroundings;
  const place = `${platform}/${architecture}`;
  const system = platforms[place];
  if (!system) return missing('webgpu', `ONNX Runtime has no webgpu provider for ${place}`, []);
  if (system !== 'Vulkan')
    return unexamined(`${system}; kdx cannot look at the adapters of this system, and was not tried on it`, index);
  const { loader, drivers, problem, adapters } = vulkan();
  const absent = [
    ...(loader === undefined ? [{ what: 'libvulkan.so.1 (Vulkan loader)', tries: [installLoader] }] : []),
    ...(drivers.length === 0
      ? [{ what: `a Vulkan driver (${problem})`, tries: [installDriver, installSoftware] }]
      : []),
  ];
  if (absent.length > 0) return lacking('webgpu', absent);
  if (!adapters) return unexamined('Vulkan; its adapters cannot be looked at without koffi', index);
  if (adapters.length === 0)
    return missing('webgpu', `no adapter: ${drivers.join(', ')} found none`, [installDriver, installSoftware]);
  const all = adapters.map(({ name }) => name);
  const chosen = adapters[index ?? 0];
  if (!chosen) return outOfRange('webgpu', index ?? 0, all);
  const selection = index === undefined ? undefined : selectAdapter(index);
  if (selection && 'what' in selection) return missing('webgpu', selection.what, selection.tries);
  const others = all.flatMap((name, i) => (i === (index ?? 0) ? [] : [`webgpu:${i} ${name}`]));
  const onlyByName = chosen.type === 'software';
  const notes = [
    onlyByName ? 'a software adapter, for tests: auto does not take it' : `${chosen.type} GPU`,
    ...(others.length > 0 ? [`not used: ${others.join(', ')}`] : []),
  ];
  const reason = `${chosen.name} (${notes.join('; ')})`;
  const { name } = chosen;
  return { kind: 'webgpu', available: true, onlyByName, name, reason, suggestions: [], all, ...selection };
}

/** Nothing speaks against it, and nobody looked. */
function unexamined(reason: string, index: number | undefined): DeviceReport {
  if (index !== undefined)
    return missing('webgpu', `webgpu:${index} cannot be chosen: ${reason}`, ['use --device webgpu']);
  return { kind: 'webgpu', available: true, onlyByName: true, name: 'unknown adapter', reason, suggestions: [] };
}

/** Which devices there are, which one is taken, and what the others lack. */
import { KdxError } from '../errors/index.ts';
import type { Selection } from './adapter-selection.ts';
import { cudaReport, gigabytes } from './cuda-report.ts';
import type { Cuda } from './cuda.ts';
import { missing, type DeviceReport } from './device-report.ts';
import type { DeviceInfo, DeviceKind } from './engine.ts';
import { ortMessage } from './ort-message.ts';
import type { Processor } from './processor.ts';
import type { Vulkan } from './vulkan.ts';
import { webgpuReport } from './webgpu-report.ts';

/** A device as asked for. */
export interface Wanted {
  readonly device: 'auto' | DeviceKind;
  /** Number of the GPU among those of its kind. */
  readonly index?: number | undefined;
  /** On CUDA: float32 products in TensorFloat-32. */
  readonly tf32?: boolean | undefined;
}

export interface Surroundings {
  readonly processor: Processor;
  /** Looks at CUDA: asked only where a report needs it, since it may load the driver. */
  readonly cuda: () => Cuda;
  /** Looks at Vulkan: likewise. */
  readonly vulkan: () => Vulkan;
  /** How a Vulkan adapter is chosen by its number. */
  readonly selectAdapter: (index: number) => Selection;
  /** Why the C API of ONNX Runtime cannot be called; undefined when it can. */
  readonly noCapi?: string | undefined;
  readonly platform?: NodeJS.Platform;
}

type Reporter = (surroundings: Surroundings, index: number | undefined) => DeviceReport;

const reporters: Readonly<Record<DeviceKind, Reporter>> = {
  cuda: ({ processor: { architecture }, platform = process.platform, cuda, noCapi }, index) =>
    cudaReport({ platform, architecture, cuda, noCapi, index }),
  webgpu: ({ processor: { architecture }, platform = process.platform, vulkan, selectAdapter }, index) =>
    webgpuReport({ platform, architecture, vulkan, selectAdapter, index }),
  cpu: cpuReport,
};

const any: Wanted = { device: 'auto' };

/** A report for each device, in the order in which `auto` tries them, or for one. */
export function reportDevices(surroundings: Surroundings, { device, index }: Wanted = any): DeviceReport[] {
  if (device !== 'auto') return [reporters[device](surroundings, index)];
  return Object.values(reporters).map((report) => report(surroundings, undefined));
}

function cpuReport({ processor }: Surroundings): DeviceReport {
  const flags = processor.flags.length > 0 ? `, ${processor.flags.join(' ')}` : '';
  const reason = `${processor.model}, ${processor.cores} cores, ${processor.threads} threads${flags}`;
  return { kind: 'cpu', available: true, onlyByName: false, name: processor.model, reason, suggestions: [] };
}

/** Of a device that was there for us, and not for ONNX Runtime. */
export function refusedReport({ kind, name }: DeviceReport, error: unknown): DeviceReport {
  const message = error instanceof Error ? error.message : String(error);
  const tries = error instanceof KdxError ? error.suggestions : ['update the driver of the GPU'];
  return missing(kind, `ONNX Runtime refuses ${name}: ${ortMessage(message)}`, tries);
}

/**
 * The device to use.
 * @throws KdxError `device-unavailable`
 */
export function chooseDevice(wanted: Wanted, reports: readonly DeviceReport[], threads: number): DeviceInfo {
  const { device, index, tf32 } = wanted;
  const fits = ({ kind, available, onlyByName }: DeviceReport) =>
    device === 'auto' ? available && !onlyByName : kind === device;
  const chosen = reports.find(fits) as DeviceReport;
  if (!chosen.available)
    throw new KdxError('device-unavailable', `device ${nameOf(wanted)} is not available: ${chosen.reason}`, {
      suggestions: chosen.suggestions,
      exitCode: 1,
    });
  const passed = reports.slice(0, reports.indexOf(chosen)).map((report) => `${report.kind}: ${report.reason}`);
  const byAuto = passed.length > 0 ? passed.join('; ') : 'the first that auto tries';
  const byName = chosen.onlyByName ? `as asked: ${chosen.reason}` : 'as asked';
  const { kind, name, memoryBytes } = chosen;
  const facts = [
    name,
    ...(memoryBytes === undefined ? [] : [gigabytes(memoryBytes)]),
    ...(kind === 'cuda' && tf32 ? ['TensorFloat-32'] : []),
    `${threads} ${threads === 1 ? 'thread' : 'threads'}`,
  ];
  return {
    kind,
    description: `${nameOf({ device: kind, index })} (${facts.join(', ')})`,
    reason: device === 'auto' ? byAuto : byName,
    threads,
    ...(memoryBytes !== undefined && { memoryBytes }),
  };
}

function nameOf({ device, index }: Wanted): string {
  return index === undefined ? device : `${device}:${index}`;
}

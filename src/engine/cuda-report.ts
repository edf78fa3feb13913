/** What is said of CUDA as a device. */
import type { Cuda } from './cuda.ts';
import { lacking, missing, outOfRange, type DeviceReport } from './device-report.ts';

export interface CudaSurroundings {
  readonly platform: NodeJS.Platform;
  readonly architecture: string;
  /** Looks at CUDA: asked only where it could be used, since it may load the driver. */
  readonly cuda: () => Cuda;
  /** Why the C API of ONNX Runtime cannot be called, without which variables cannot stay on the GPU. */
  readonly noCapi: string | undefined;
  /** Number of the GPU; default: the first. */
  readonly index: number | undefined;
}

export function cudaReport({ platform, architecture, cuda, noCapi, index }: CudaSurroundings): DeviceReport {
  if (`${platform}/${architecture}` !== 'linux/x64')
    return missing('cuda', `ONNX Runtime has no cuda provider for ${platform}/${architecture} that kdx could use`, []);
  const { problems, driver } = cuda();
  if (problems.length > 0) return lacking('cuda', problems);
  if (noCapi !== undefined || !driver) {
    const reason = `kdx computes on it by the C API of ONNX Runtime only: ${noCapi ?? 'the driver cannot be asked'}`;
    return missing('cuda', reason, ['npm install koffi', 'unset KDX_ENGINE']);
  }
  const all = driver.gpus.map(({ name }) => name);
  const gpu = driver.gpus[index ?? 0];
  if (!gpu) return outOfRange('cuda', index ?? 0, all);
  const others = all.flatMap((name, i) => (i === (index ?? 0) ? [] : [`cuda:${i} ${name}`]));
  const notes = [
    gigabytes(gpu.memoryBytes),
    `driver for CUDA ${driver.version}`,
    ...(others.length > 0 ? [`not used: ${others.join(', ')}`] : []),
  ];
  return {
    kind: 'cuda',
    available: true,
    onlyByName: false,
    name: gpu.name,
    reason: `${gpu.name} (${notes.join('; ')})`,
    suggestions: [],
    memoryBytes: gpu.memoryBytes,
    all,
  };
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

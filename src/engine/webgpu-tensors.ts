/** Tensors on a GPU through onnxruntime-node: moved there and back by sessions of one Identity node. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { webgpuTypes, type GpuData } from './driver.ts';

/** Where a session leaves its outputs. */
export type OutputLocation = NonNullable<InferenceSession.SessionOptions['preferredOutputLocation']>;

export interface GpuTensors {
  /** A copy on the GPU; the same tensor if the GPU does not keep its kind. */
  upload(tensor: OrtTensor): Promise<OrtTensor>;
  /** The same tensor if it is not on the GPU. */
  download(tensor: OrtTensor): Promise<OrtTensor>;
  release(): Promise<void>;
}

export const onGpu = ({ location }: OrtTensor) => location === 'gpu-buffer';

/** Whether the GPU keeps tensors of this kind. */
export function isGpuTensor({ type, size }: Pick<OrtTensor, 'type' | 'size'>): boolean {
  return (webgpuTypes as readonly string[]).includes(type) && size > 0;
}

/** @param create makes a session that copies `x` to `y`, from an encoded model */
export function openGpuTensors(
  create: (model: Uint8Array, location: OutputLocation) => Promise<InferenceSession>,
  { copiers }: Pick<GpuData, 'copiers'>,
): GpuTensors {
  const sessions = new Map<string, Promise<InferenceSession>>();
  const copy = async (x: OrtTensor, location: 'cpu' | 'gpu-buffer'): Promise<OrtTensor> => {
    const key = `${x.type} ${location}`;
    const session = sessions.get(key) ?? create(copiers[x.type] as Uint8Array, location);
    sessions.set(key, session);
    const { y } = await (await session).run({ x });
    return y as OrtTensor;
  };
  return {
    upload: (tensor) => (isGpuTensor(tensor) || onGpu(tensor) ? copy(tensor, 'gpu-buffer') : Promise.resolve(tensor)),
    download: (tensor) => (onGpu(tensor) ? copy(tensor, 'cpu') : Promise.resolve(tensor)),
    async release() {
      for (const session of sessions.values()) await (await session).release();
    },
  };
}

/** Outputs that can be on the GPU go there, since any of them may become a variable. */
export function outputLocations({ outputMetadata }: InferenceSession): OutputLocation {
  return Object.fromEntries(
    outputMetadata.map((output) => {
      const stays = output.isTensor && (webgpuTypes as readonly string[]).includes(output.type);
      return [output.name, stays ? 'gpu-buffer' : 'cpu'] as const;
    }),
  );
}

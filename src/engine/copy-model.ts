/** Models of one node that copies: the worker's first session, and its way to move tensors to a GPU and back. */
import { modelOf, type DType } from '../graph/index.ts';
import { encodeModel } from '../onnx/index.ts';
import { deviceTypes, type GpuData } from './driver.ts';
import type { Vulkan } from './vulkan.ts';

/** From `x` to `y`, encoded. @param shape undefined for any */
export function copyModel(dtype: DType, shape?: readonly number[]): Uint8Array {
  const info = (name: string) => ({ name, dtype, shape });
  const model = modelOf({
    name: 'copy',
    inputs: [info('x')],
    outputs: [info('y')],
    initializers: new Map(),
    nodes: [{ name: '', opType: 'Identity', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
    values: new Map(),
  });
  return encodeModel(model).bytes;
}

export function gpuData({ loader, besideDriver }: Pick<Vulkan, 'loader' | 'besideDriver'>): GpuData {
  const copiers = Object.fromEntries(deviceTypes.map((dtype) => [dtype, copyModel(dtype)]));
  return {
    ...(loader !== undefined && besideDriver && { preload: loader }),
    copiers: copiers as GpuData['copiers'],
  };
}

/** Models of one node that copies: the worker's first session, and its way to move tensors to a GPU and back. */
import { modelOf, type DType } from '../graph/index.ts';
import { encodeModel } from '../onnx/index.ts';
import { webgpuTypes, type Copiers, type GpuData } from './driver.ts';

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

/** Element types that a GPU holds by CUDA. */
const cudaTypes = [
  ...(['float32', 'float16', 'float64', 'bool'] as const),
  ...(['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64'] as const),
] satisfies readonly DType[];

/** For each element type that variables on such a GPU may have. */
export function copiersFor(kind: GpuData['kind']): Copiers {
  const types = kind === 'cuda' ? cudaTypes : webgpuTypes;
  return Object.fromEntries(types.map((dtype) => [dtype, copyModel(dtype)]));
}

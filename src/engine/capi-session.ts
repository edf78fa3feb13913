/** Sessions through the C API: their options, and what they say of their inputs and outputs. */
import type { ValueInfo } from '../graph/index.ts';
import { flushesDenormals } from './denormals.ts';
import type { SessionSettings } from './driver.ts';
import type { GpuProvider } from './gpu-provider.ts';
import { elementTypeOf, NULL, type OrtApi, type Pointer } from './ort-api.ts';
import type { Signature } from './protocol.ts';

/** Values of the enums in onnxruntime_c_api.h. */
export const LOG_FATAL = 4;
const SEQUENTIAL = 0;
const optimizationLevels = { disabled: 0, basic: 1, extended: 2, all: 99 } as const;

/** @param gpu where it computes; without it, on the CPU */
export function createSession(
  api: OrtApi,
  environment: Pointer,
  model: Uint8Array | string,
  settings: SessionSettings,
  gpu: GpuProvider | undefined,
): Pointer {
  const options = api.get('CreateSessionOptions');
  try {
    api.call('SetSessionExecutionMode', options, SEQUENTIAL);
    api.call('SetIntraOpNumThreads', options, settings.threads);
    api.call('SetInterOpNumThreads', options, 1);
    api.call('SetSessionLogSeverityLevel', options, LOG_FATAL);
    api.call('SetSessionGraphOptimizationLevel', options, optimizationLevels[settings.optimization]);
    if (!settings.memoryPattern) api.call('DisableMemPattern', options);
    if (settings.optimizedModelPath !== undefined)
      api.call('SetOptimizedModelFilePath', options, settings.optimizedModelPath);
    const entries = {
      'session.set_denormal_as_zero': (settings.flushDenormals ?? flushesDenormals()) ? '1' : '0',
      'session.intra_op.allow_spinning': settings.spinning ? '1' : '0',
      'session.disable_prepacking': settings.prepacking ? '0' : '1',
      'session.use_env_allocators': '1',
      'optimization.disable_specified_optimizers': settings.disabledOptimizers.join(';'),
    };
    for (const [key, value] of Object.entries(entries)) api.call('AddSessionConfigEntry', options, key, value);
    if (gpu) {
      if (!settings.cpuFallback) api.call('AddSessionConfigEntry', options, 'session.disable_cpu_ep_fallback', '1');
      gpu.append(options);
    }
    return typeof model === 'string'
      ? api.get('CreateSession', environment, model, options)
      : api.get('CreateSessionFromArray', environment, model, model.byteLength, options);
  } finally {
    api.release('ReleaseSessionOptions', options);
  }
}

export function signatureOf(api: OrtApi, session: Pointer): Signature {
  return { inputs: portsOf(api, session, 'Input'), outputs: portsOf(api, session, 'Output') };
}

/** Names and types of the inputs or outputs of a session. Rank 0 may mean that nothing is known of the shape. */
function portsOf(api: OrtApi, session: Pointer, side: 'Input' | 'Output'): ValueInfo[] {
  const allocator = api.get('GetAllocatorWithDefaultOptions');
  const count = Number(api.get(`SessionGet${side}Count`, session));
  return Array.from({ length: count }, (_, i) => {
    const text = api.get(`SessionGet${side}Name`, session, i, allocator);
    const name = api.stringAt(text);
    api.call('AllocatorFree', allocator, text);
    const info = api.get(`SessionGet${side}TypeInfo`, session, i);
    try {
      const tensor = api.get('CastTypeInfoToTensorInfo', info);
      if (tensor === NULL) throw new Error(`${side.toLowerCase()} ${name} is not a tensor`);
      const { dtype, dims } = typeAndDims(api, tensor);
      const symbols = new BigUint64Array(Math.max(dims.length, 1));
      api.call('GetSymbolicDimensions', tensor, symbols, dims.length);
      const shape = dims.map((dim, axis) => (dim >= 0 ? dim : api.stringAt(symbols[axis] as Pointer)));
      return { name, dtype, shape: shape.length > 0 ? shape : undefined };
    } finally {
      api.release('ReleaseTypeInfo', info);
    }
  });
}

/** Element type and dimensions, -1 for one that is not fixed. */
export function typeAndDims(api: OrtApi, info: Pointer) {
  const code = new Int32Array(1);
  api.call('GetTensorElementType', info, code);
  const rank = Number(api.get('GetDimensionsCount', info));
  const dims = new BigInt64Array(Math.max(rank, 1));
  api.call('GetDimensions', info, dims, rank);
  return { dtype: elementTypeOf(code[0] as number), dims: Array.from(dims.subarray(0, rank), Number) };
}

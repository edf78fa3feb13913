/** What ONNX Runtime says of a GPU that has no memory left or is gone, as errors that a user can act on. */
import { KdxError } from '../errors/index.ts';
import { gigabytes } from './cuda-report.ts';
import type { DeviceInfo } from './engine.ts';
import { ortMessage } from './ort-message.ts';

/**
 * A WebGPU buffer that could not be had is "invalid" to what uses it next; one that is larger than the device can bind
 * takes several bindings, until there are too many. CUDA's arena says what it failed to get, its libraries give codes.
 */
const noMemory = new RegExp(
  'out of memory|Invalid Buffer|OUT_OF_(DEVICE|HOST)_MEMORY|Too many storage buffers' +
    '|Failed to allocate memory for requested buffer|CU(BLAS|DNN)_STATUS_ALLOC_FAILED',
  'i',
);
/** cudaError: devices unavailable, uncorrectable ECC error, illegal address, time-out, and other ends of a context. */
const lost = new RegExp(
  'device (is |was )?lost|DEVICE_LOST|\\[Device[^\\]]*\\] is lost|CUDA failure (46|214|700|702|71[0-9]|999):',
  'i',
);

/** Found when a kernel asks for it, which is after the session is made. */
const noCudnn = /cuDNN is (unavailable|not available)/;

/** The error for a message of ONNX Runtime; undefined where it does not concern the device. */
export function deviceError(
  { kind, memoryBytes }: Pick<DeviceInfo, 'kind' | 'memoryBytes'>,
  what: string,
  error: unknown,
): KdxError | undefined {
  if (kind === 'cpu' || !(error instanceof Error)) return undefined;
  const says = ortMessage(error.message);
  if (lost.test(error.message))
    return new KdxError('device-lost', `${what}: the ${kind} device was lost: ${says}`, {
      suggestions: ['run the command again (training: with --resume)', 'use --device cpu'],
      exitCode: 1,
      cause: error,
    });
  if (noCudnn.test(error.message))
    return new KdxError('device-unavailable', `${what}: ONNX Runtime cannot use cuDNN: ${says}`, {
      suggestions: ['install cuDNN 9 with all of its libraries (kdx doctor says for which CUDA)', 'use --device cpu'],
      exitCode: 1,
      cause: error,
    });
  if (!noMemory.test(error.message)) return undefined;
  const size = memoryBytes === undefined ? '' : `, which has ${gigabytes(memoryBytes)}`;
  return new KdxError('device-memory', `${what}: a tensor does not fit on the ${kind} device${size}: ${says}`, {
    suggestions: ['make the batch smaller (--batch) or the texts shorter (--max-length)', 'use --device cpu'],
    exitCode: 1,
    cause: error,
  });
}

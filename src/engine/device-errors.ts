/** What ONNX Runtime says of a GPU that has no memory left or is gone, as errors that a user can act on. */
import { KdxError } from '../errors/index.ts';
import type { DeviceKind } from './engine.ts';

/**
 * A buffer that could not be had is "invalid" to what uses it next; one that is larger than the device can bind takes
 * several bindings, until there are too many.
 */
const noMemory = /out of memory|Invalid Buffer|OUT_OF_(DEVICE|HOST)_MEMORY|Too many storage buffers/i;
const lost = /device (is |was )?lost|DEVICE_LOST|\[Device[^\]]*\] is lost/i;

/** The error for a message of ONNX Runtime; undefined where it does not concern the device. */
export function deviceError(kind: DeviceKind, what: string, error: unknown): KdxError | undefined {
  if (kind === 'cpu' || !(error instanceof Error)) return undefined;
  const says = error.message.split('\n')[0]?.trim() ?? '';
  if (lost.test(error.message))
    return new KdxError('device-lost', `${what}: the ${kind} device was lost: ${says}`, {
      suggestions: ['run the command again (training: with --resume)', 'use --device cpu'],
      exitCode: 1,
      cause: error,
    });
  if (noMemory.test(error.message))
    return new KdxError('device-memory', `${what}: a tensor does not fit on the ${kind} device: ${says}`, {
      suggestions: ['make the batch smaller (--batch) or the texts shorter (--max-length)', 'use --device cpu'],
      exitCode: 1,
      cause: error,
    });
  return undefined;
}

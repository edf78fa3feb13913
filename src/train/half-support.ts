/** Devices without float16. */
import { KdxError } from '../errors/index.ts';
import type { Precision } from './step.ts';

/** What ONNX Runtime's WebGPU provider says of an adapter without the feature shader-f16, in the first run of a step. */
const REFUSAL = /requires f16 but the device does not support it/;

/** The error as the user's, where it is one of asking a device for float16. */
export function withoutHalf(error: unknown, precision: Precision | undefined): unknown {
  if (precision !== 'float16' || !(error instanceof Error) || !REFUSAL.test(error.message)) return error;
  return new KdxError('unsupported-precision', 'this GPU has no float16 for WebGPU (the feature shader-f16)', {
    suggestions: ['--precision float32', 'another --device'],
    cause: error,
  });
}

/** The errors of a file that cannot be taken in; each names the file first. */
import { KdxError } from '../errors/index.ts';

/** The bytes contradict themselves or the ONNX format. */
export function corrupt(file: string, what: string, cause?: unknown): KdxError {
  return new KdxError('corrupt-onnx', `${file}: ${what}`, {
    suggestions: ['download or export the model again'],
    cause,
  });
}

/** Valid ONNX that kdx has no words for. */
export function unsupported(file: string, what: string): KdxError {
  return new KdxError('unsupported-onnx', `${file}: ${what}`);
}

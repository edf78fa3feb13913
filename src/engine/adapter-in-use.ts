/** The one WebGPU adapter of this process: ONNX Runtime looks for adapters once, and keeps to what it saw. */
import { KdxError } from '../errors/index.ts';

let inUse: string | undefined;

/**
 * To be called before ONNX Runtime is told to compute by WebGPU.
 * @param variables under which it shall look for adapters; none: as it likes
 * @throws KdxError `device-unavailable` where it has looked under others
 */
export function claimAdapter(variables: Readonly<Record<string, string>> = {}): void {
  const wanted = JSON.stringify(variables);
  inUse ??= wanted;
  if (inUse === wanted) return;
  throw new KdxError('device-unavailable', 'it has looked for adapters before in this process, and does so only once', {
    suggestions: ['use one WebGPU adapter in a process'],
    exitCode: 1,
  });
}

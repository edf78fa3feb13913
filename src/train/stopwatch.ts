/** The time and the work of a training run. */
import type { Position } from './state.ts';

/** What a run has taken since its start, with its earlier starts; the work of processors only if all of them were on a CPU. */
export function stopwatch(
  { seconds, cpuSeconds }: Position,
  onCpu: boolean,
): () => Pick<Position, 'seconds' | 'cpuSeconds'> {
  const began = Date.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return {
      seconds: seconds + (Date.now() - began) / 1000,
      cpuSeconds: onCpu && cpuSeconds !== undefined ? cpuSeconds + (user + system) / 1e6 : undefined,
    };
  };
}

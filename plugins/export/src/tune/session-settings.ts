/** What is tried of a session: one factor after the other, each with its alternatives to the best so far. */
import { tunableOptimizers, type TunedOptions } from 'kdx/classifier';

/** A session's options as far as they differ from the defaults, and its threads. */
export interface SessionSettings {
  readonly options: TunedOptions;
  readonly threads: number;
}

export interface Factor {
  readonly name: string;
  /** Settings that differ from the best so far in this factor. */
  alternatives(best: SessionSettings): readonly SessionSettings[];
}

/** @param threadCounts to be tried besides the default */
export function factors(threadCounts: readonly number[]): Factor[] {
  return [
    // On the CPU, the kernel of the fused operator of ONNX Runtime 1.30 is slower than its parts.
    choice('fusion', { disabledOptimizers: tunableOptimizers }),
    choice('optimization', { optimization: 'extended' }, { optimization: 'basic' }),
    choice('memory pattern', { memoryPattern: true }),
    choice('prepacking', { prepacking: false }),
    {
      name: 'threads',
      alternatives: ({ options }) => threadCounts.map((threads) => ({ options, threads })),
    },
    {
      name: 'spinning',
      // A single thread waits for nobody.
      alternatives: ({ options, threads }) =>
        threads > 1 ? [{ options: { ...options, spinning: true }, threads }] : [],
    },
  ];
}

function choice(name: string, ...changes: readonly TunedOptions[]): Factor {
  return {
    name,
    alternatives: ({ options, threads }) => changes.map((change) => ({ options: { ...options, ...change }, threads })),
  };
}

/** Every number below the most up to 4, powers of two from there. */
export function fewerThreads(most: number): number[] {
  return [1, 2, 3, 4, 8, 16, 32, 64, 128].filter((count) => count < most && (count !== 3 || most <= 4));
}

/** How models are run while they are measured. */
import { readTuning, thisMachine, tuningMismatch, type TunedOptions } from 'kdx/classifier';
import { nodeSessionOptions, type DeviceKind } from 'kdx/engine';
import type { BenchSource } from './bench-source.ts';

/** What `kdx export --tune` left in a model's kdx.json. */
export interface FoundTuning {
  /** But for threads and what goes with them, which a measurement sets itself. */
  readonly options?: TunedOptions;
  /** Why they are not used here. */
  readonly unused?: string;
}

/** @throws KdxError `invalid-tuning` */
export async function findTuning({ classifier }: BenchSource): Promise<FoundTuning> {
  const tuning = classifier && (await readTuning(classifier));
  if (!tuning) return {};
  const unused = tuningMismatch(tuning, thisMachine());
  if (unused !== undefined) return { unused };
  const { spinning: _, ...options } = tuning.options;
  return { options };
}

/**
 * Of onnxruntime-node, the same for all models and stages but for what was tuned. Threads that wait sleep instead of
 * spinning.
 */
export function sessionOptions(
  device: DeviceKind,
  threads: number,
  tuned: TunedOptions = {},
): Readonly<Record<string, unknown>> {
  return {
    executionProviders: [device],
    executionMode: 'sequential',
    interOpNumThreads: 1,
    ...nodeSessionOptions({ spinning: false, ...tuned, threads }),
  };
}

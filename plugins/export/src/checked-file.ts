/** An exported file that has passed its gate: on every runtime, with its metrics and the session options found for it. */
import { join } from 'node:path';
import { openClassifier, openSource, scoreClassifier, type Classifier } from 'kdx/classifier';
import type { TaskData } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import type { Fidelity } from './fidelity.ts';
import type { TaskMetrics } from './manifest.ts';
import { exportedLogits, type Parity } from './parity.ts';
import {
  nodeCheck,
  startWeb,
  type Answers,
  type Gate,
  type RuntimeCheck,
  type RuntimeOptions,
} from './runtimes/index.ts';
import { tuneFile, type TuneOptions, type TuningRecord } from './tune/index.ts';

export interface CheckedFile<T extends Parity | Fidelity = Parity | Fidelity> {
  /** In the exported folder. */
  readonly path: string;
  readonly parity: T;
  readonly runtimes: readonly RuntimeCheck[];
  readonly metrics?: TaskMetrics;
  readonly tuning?: TuningRecord;
}

/** Does a part of the work on an engine of the CPU, for that is what any machine has; then gives its memory back. */
export type EngineScope = <R>(work: (engine: Engine) => Promise<R>) => Promise<R>;

export interface CheckOptions extends RuntimeOptions {
  readonly withEngine: EngineScope;
  /** Its development set is measured. */
  readonly data?: TaskData;
  readonly tune?: TuneOptions;
}

/**
 * @param dir exported folder
 * @param wanted the answers of the checkpoint
 * @throws KdxError `parity-failed`, `label-mismatch`, those of tuning
 */
export async function checkFile<T extends Parity | Fidelity>(
  dir: string,
  path: string,
  gate: Gate<T>,
  wanted: Pick<Answers, 'texts' | 'expected'>,
  options: CheckOptions,
): Promise<CheckedFile<T>> {
  const { withEngine, data, tune, progress, signal } = options;
  const file = join(dir, path);
  const source = await openSource(file);
  const answersOf = async (classifier: Classifier): Promise<Answers> => {
    return { ...wanted, found: await exportedLogits(classifier, wanted.texts, { progress, signal }) };
  };
  const web = startWeb(file, source, wanted.texts, options);
  try {
    const { answers, ...checked } = await withEngine(async (engine) => {
      const classifier = await openClassifier(source, engine);
      const answers = await answersOf(classifier);
      const parity = gate(answers);
      const metrics = data && (await measureTask(classifier, data, options));
      return { answers, parity, ...(metrics && { metrics }) };
    });
    const runtimes = [nodeCheck(answers), await web.result(answers, gate)];
    if (!tune) return { path, ...checked, runtimes };
    const tunedGate = async (classifier: Classifier) => gate(await answersOf(classifier));
    const tuning = await withEngine((engine) => tuneFile(source, tune, { ...options, engine, path, gate: tunedGate }));
    return { path, ...checked, runtimes, tuning };
  } finally {
    await web.close();
  }
}

/** @throws KdxError `label-mismatch` */
export async function measureTask(
  classifier: Classifier,
  { task, dev }: TaskData,
  { progress, signal }: Pick<CheckOptions, 'progress' | 'signal'>,
): Promise<TaskMetrics> {
  const { metrics } = await scoreClassifier(classifier, task, dev, { progress, signal });
  return { task: task.name, examples: dev.length, primary: task.primary, values: metrics };
}

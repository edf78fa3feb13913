/** The examples of a distillation: a part of the training set, and what was made from it. */
import { loadExtraExamples, stratifiedSubset, withExtraExamples, type ExtraFile, type TaskData } from 'kdx/data';

export interface TrainingDataOptions {
  /** Files as `kdx augment` writes them. */
  readonly augmented: readonly string[];
  /** Examples of the training set to take; default: all. */
  readonly limit?: number;
  readonly seed: number;
}

/** @throws KdxError of loadExtraExamples and withExtraExamples */
export async function trainingData(all: TaskData, { augmented, limit, seed }: TrainingDataOptions): Promise<TaskData> {
  const train = stratifiedSubset(all.train, all.task, limit ?? all.train.length, seed);
  const files: ExtraFile[] = [];
  for (const path of augmented) files.push({ path, rows: await loadExtraExamples(path, all.task) });
  return { ...all, train: withExtraExamples(train, files, train.length === all.train.length) };
}

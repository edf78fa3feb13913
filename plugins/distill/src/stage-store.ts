/** Finished stages for other runs: recipes that begin alike are trained once, up to where they part. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { fileExists, writeFileAtomic } from 'kdx/files';
import type { RunFolder } from 'kdx/recipe';
import { stageFile } from './stage.ts';

/**
 * Puts a finished stage into the folder of a run that comes to it, together with the metrics of the run up to its end.
 * @param store folder of the finished stages
 * @param key of everything that decides the bits of the parameters at the end of the stage
 * @returns whether the stage was there, and the run's folder had none
 */
export async function takeStage(store: string, key: string, folder: RunFolder, stage: string): Promise<boolean> {
  const to = stageFile(folder, stage);
  const from = filesOf(store, key);
  if ((await fileExists(to)) || !(await fileExists(from.parameters))) return false;
  // The parameters last: they are what tells a finished stage.
  await copy(from.metrics, folder.file('metrics.jsonl'));
  await copy(from.parameters, to);
  return true;
}

/** Keeps what a stage left in the folder of its run; nothing where it is kept already. */
export async function keepStage(store: string, key: string, folder: RunFolder, stage: string): Promise<void> {
  const to = filesOf(store, key);
  if (await fileExists(to.parameters)) return;
  await copy(folder.file('metrics.jsonl'), to.metrics);
  await copy(stageFile(folder, stage), to.parameters);
}

function filesOf(store: string, key: string) {
  return { parameters: join(store, `${key}.safetensors`), metrics: join(store, `${key}.jsonl`) };
}

function copy(from: string, to: string): Promise<void> {
  return writeFileAtomic(to, createReadStream(from));
}

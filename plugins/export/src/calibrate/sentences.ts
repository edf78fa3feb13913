/** Sentences for a calibration: lines of a text file, or the training examples of a task folder. */
import { open, stat } from 'node:fs/promises';
import { limitExamples, loadTaskData, type Example } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { fileError } from 'kdx/files';
import type { CalibrationText } from '../calibration.ts';

export interface SentenceOptions {
  /** What a folder holds. */
  readonly task?: string | undefined;
  /** How many are taken, by a fixed seed. */
  readonly count: number;
}

const SEED = 0;

/**
 * @param path text file with a sentence, or two with a tab between them, in each line; or a GLUE folder
 * @throws KdxError `invalid-usage` for a folder without a task, `empty-data`, `invalid-line`, `file-not-found`,
 *   `file-not-accessible`, those of loadTaskData
 */
export async function readSentences(
  path: string,
  { task, count }: SentenceOptions,
): Promise<readonly CalibrationText[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileError(error, path);
  });
  if (!found.isDirectory()) return limitExamples(await readLines(path), count, SEED);
  if (task === undefined)
    throw new KdxError('invalid-usage', `${path} is a folder, which needs --task to say how its files are read`, {
      suggestions: [`--calibrate ${path} --task sst2`, '--calibrate FILE, a text file with one sentence a line'],
    });
  const { train } = await loadTaskData({ task, dir: path }, { splits: ['train'] });
  return limitExamples(train, count, SEED);
}

/** Empty lines are left out. */
async function readLines(path: string): Promise<Example[]> {
  const examples: Example[] = [];
  try {
    const file = await open(path);
    let number = 0;
    for await (const line of file.readLines()) {
      number++;
      if (line.trim() === '') continue;
      const [text, pair, ...more] = line.split('\t') as [string, ...string[]];
      if (more.length > 0)
        throw new KdxError('invalid-line', `${path}:${number} has ${more.length + 1} tabs`, {
          suggestions: ['a line is a sentence, or two with a tab between them', '--calibrate DIR --task sst2'],
        });
      examples.push({ id: examples.length, text, ...(pair !== undefined && { pair }), label: 0 });
    }
  } catch (error) {
    throw fileError(error, path);
  }
  if (examples.length === 0)
    throw new KdxError('empty-data', `${path} holds no sentence`, { suggestions: ['one sentence a line'] });
  return examples;
}

/** A corpus in a plain text file: one text per line. */
import { open } from 'node:fs/promises';
import { fileError } from 'kdx/files';
import type { CorpusText } from './coverage.ts';

/** Empty lines are left out. @throws KdxError `file-not-found`, `file-not-accessible`, `not-a-file` */
export async function readCorpus(path: string): Promise<CorpusText[]> {
  const texts: CorpusText[] = [];
  try {
    const file = await open(path);
    for await (const line of file.readLines()) if (line.trim() !== '') texts.push({ text: line });
  } catch (error) {
    throw fileError(error, path);
  }
  return texts;
}

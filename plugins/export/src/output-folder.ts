/** The place of an export: what may stand there before. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestName } from 'kdx/classifier';
import { KdxError } from 'kdx/errors';
import { fileError, filesIn } from 'kdx/files';
import { isManifest } from './manifest.ts';

/**
 * Refuses a place that holds anything but, with `force`, a whole earlier export and nothing else.
 * @throws KdxError `output-exists`, `not-a-folder`, `file-not-accessible`
 */
export async function checkOutput(out: string, force: boolean): Promise<void> {
  const names = await namesIn(out);
  if (names.length === 0) return;
  const manifest = names.includes(manifestName) ? await readManifest(join(out, manifestName)) : undefined;
  if (!isManifest(manifest))
    throw outputExists(`${out} is not empty and is no export of kdx (${names.slice(0, 3).join(', ')})`);
  const known = new Set([manifestName, ...manifest.files.map(({ path }) => path)]);
  const foreign = (await filesIn(out)).filter((path) => !known.has(path));
  if (foreign.length > 0)
    throw outputExists(`${out} holds an export and files that are no part of it (${foreign.slice(0, 3).join(', ')})`);
  if (!force) throw outputExists(`${out} holds an earlier export`, '--force to replace it');
}

function outputExists(message: string, ...suggestions: string[]): KdxError {
  return new KdxError('output-exists', message, {
    suggestions: [...suggestions, '--out with a folder that is new or empty'],
  });
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') throw new KdxError('not-a-folder', `${dir} is a file, --out needs a folder`);
    throw fileError(error, dir);
  });
}

/** Undefined for what is no JSON. */
async function readManifest(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw fileError(error, path);
  }
}

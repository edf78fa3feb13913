/** A folder that appears whole or not at all: written beside its place, then renamed. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { KdxError } from 'kdx/errors';
import { fileError, syncFolder } from 'kdx/files';
import { isManifest, manifestName } from './manifest.ts';

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

/** Every file below a folder, relative to it, with forward slashes, sorted. */
export async function filesIn(dir: string): Promise<string[]> {
  const below = await Promise.all(
    (await readdir(dir, { withFileTypes: true })).map(async (entry) => {
      if (!entry.isDirectory()) return [entry.name];
      return (await filesIn(join(dir, entry.name))).map((path) => `${entry.name}/${path}`);
    }),
  );
  return below.flat().sort();
}

/**
 * Calls `fill` with an empty folder beside `out`, which takes the place of `out` when it returns; when it throws, nothing
 * is left of it.
 * @throws KdxError `disk-full`, `file-not-accessible`, ...
 */
export async function replaceFolder<T>(out: string, fill: (temporary: string) => Promise<T>): Promise<T> {
  const place = resolve(out);
  const suffix = `${process.pid}-${randomBytes(4).toString('hex')}`;
  const temporary = `${place}.${suffix}.tmp`;
  const old = `${place}.${suffix}.old`;
  try {
    await mkdir(temporary, { recursive: true });
    const result = await fill(temporary);
    const hadOld = await moveIfPresent(place, old);
    try {
      await rename(temporary, place);
    } catch (error) {
      if (hadOld) await rename(old, place);
      throw error;
    }
    await syncFolder(dirname(place));
    await rm(old, { recursive: true, force: true });
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw fileError(error, out);
  }
}

async function moveIfPresent(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

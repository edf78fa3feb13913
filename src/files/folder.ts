/** A folder that appears whole or not at all: written beside its place, then renamed. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileError, syncFolder } from './atomic.ts';

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

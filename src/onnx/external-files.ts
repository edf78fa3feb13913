/** Tensor data kept beside a model: where it may lie, and how it is read. */
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, sep, win32 } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { corrupt } from './faults.ts';

/** Reads `expected` bytes of an external file, starting at `offset`. */
export type ReadExternal = (location: string, offset: number, expected: number, tensor: string) => Uint8Array;

/** Most bytes that one read call is asked for. */
const READ_SIZE = 2 ** 30;
/** Characters of a location in a message. */
const MOST_SHOWN = 200;

interface DataFile {
  readonly path: string;
  readonly size: number;
  unread: number;
  readonly ranges: Map<string, Uint8Array>;
}

/** Whether a location names a file in or below the model's folder. */
export function isInside(location: string): boolean {
  const parts = location.split(/[\\/]/);
  if (location === '' || location.includes('\0') || parts.includes('..')) return false;
  return !isAbsolute(location) && !win32.isAbsolute(location) && !/^[a-z]:/i.test(location);
}

function within(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

const shown = (location: string): string =>
  location.length > MOST_SHOWN ? `${location.slice(0, MOST_SHOWN)}...` : location;

function unsafe(file: string, location: string, why: string, cause?: unknown): KdxError {
  const what = `${file}: external data ${JSON.stringify(shown(location))} ${why}`;
  return new KdxError('unsafe-external-data', what, {
    suggestions: ["keep the data file in the model's folder"],
    cause,
  });
}

function readRange(path: string, offset: number, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'r');
  try {
    for (let done = 0; done < bytes.length;) {
      const read = readSync(descriptor, bytes, done, Math.min(READ_SIZE, bytes.length - done), offset + done);
      if (read === 0) throw new Error(`${path} became shorter while it was read`);
      done += read;
    }
  } finally {
    closeSync(descriptor);
  }
}

/**
 * A reader of the external files of one model.
 * @param folders the folders that locations may lead into, links resolved; the first is what locations are relative to.
 * Equal ranges share memory; overlapping ones are refused, whatever the location is spelt, so that no more is read than the
 * files hold.
 * @throws KdxError `unsafe-external-data`, `missing-external-data`, `corrupt-onnx`
 */
export function externalReader(file: string, folders: readonly [string, ...string[]]): ReadExternal {
  const byLocation = new Map<string, DataFile>();
  const byPath = new Map<string, DataFile>();

  const find = (location: string) => {
    if (!isInside(location)) throw unsafe(file, location, 'leads out of its folder');
    let path: string;
    try {
      path = realpathSync(join(folders[0], location));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ELOOP' || code === 'ENAMETOOLONG')
        throw unsafe(file, location, code === 'ELOOP' ? 'is a link in a circle' : 'is too long a name', error);
      if (code !== 'ENOENT') throw fileError(error, shown(join(folders[0], location)));
      const what = `${file}: its weights are in ${shown(join(folders[0], location))}, which does not exist`;
      const suggestions = [`put ${shown(location)} beside ${file}`];
      throw new KdxError('missing-external-data', what, { suggestions, cause: error });
    }
    if (!folders.some((folder) => within(folder, path))) throw unsafe(file, location, `is a link to ${path}`);
    const stats = statSync(path);
    if (!stats.isFile()) throw unsafe(file, location, 'is not a file');
    const found = byPath.get(path) ?? { path, size: stats.size, unread: stats.size, ranges: new Map() };
    byPath.set(path, found);
    byLocation.set(location, found);
    return found;
  };

  return (location, offset, expected, tensor) => {
    const source = byLocation.get(location) ?? find(location);
    const what = `tensor ${tensor} takes bytes ${offset} to ${offset + expected} of ${shown(location)}`;
    if (offset + expected > source.size) throw corrupt(file, `${what}, which has ${source.size}`);
    const key = `${offset}+${expected}`;
    const known = source.ranges.get(key);
    if (known) return known;
    source.unread -= expected;
    if (source.unread < 0) throw corrupt(file, `${what}, which overlaps other tensors`);
    try {
      const bytes = new Uint8Array(expected);
      readRange(source.path, offset, bytes);
      source.ranges.set(key, bytes);
      return bytes;
    } catch (error) {
      if (error instanceof RangeError) throw corrupt(file, `${what}, more than fits in memory`, error);
      throw fileError(error, source.path);
    }
  };
}

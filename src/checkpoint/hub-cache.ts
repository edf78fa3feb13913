/**
 * The cache that all Hugging Face tools share: blobs/<hash>, snapshots/<commit>/<file> -> blob, refs/<revision> = commit.
 * A name in it is given to complete, verified content only.
 */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError, writeFileAtomic } from '../files/index.ts';
import { isCommit } from './hub-id.ts';
import { configFile, findWeights } from './weight-files.ts';

/** One repository in the cache. */
export interface CachedRepo {
  readonly blob: (hash: string) => string;
  readonly snapshot: (commit: string) => string;
  readonly ref: (revision: string) => string;
}

export function cachedRepo(cacheDir: string, id: string): CachedRepo {
  const root = join(cacheDir, ['models', ...id.split('/')].join('--'));
  return {
    blob: (hash) => join(root, 'blobs', hash),
    snapshot: (commit) => join(root, 'snapshots', commit),
    ref: (revision) => join(root, 'refs', ...revision.split('/')),
  };
}

/** The folder of a revision if the cache holds all of it that a checkpoint needs. */
export async function findSnapshot(repo: CachedRepo, revision: string): Promise<string | undefined> {
  const commit = isCommit(revision) ? revision : await readRef(repo.ref(revision));
  if (commit === undefined) return undefined;
  const dir = repo.snapshot(commit);
  const weights = await findWeights(dir).catch((error: unknown) => {
    if (error instanceof KdxError) return undefined;
    throw error;
  });
  if (weights === undefined) return undefined;
  // A link whose blob was deleted is listed, but leads nowhere.
  const found = await Promise.all([configFile, ...weights.keys()].map((name) => isFile(join(dir, name))));
  return found.every(Boolean) ? dir : undefined;
}

async function readRef(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return isCommit(text.trim()) ? text.trim() : undefined;
}

export async function writeRef(path: string, commit: string): Promise<void> {
  await writeFileAtomic(path, commit);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

/** Whether a file, or what a link points at, is there with this size. */
export async function hasSize(path: string, bytes: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === bytes;
}

/** Gives a blob its name in a snapshot, by a relative link, or a copy where links are not allowed. */
export async function linkBlob(blob: string, pointer: string): Promise<void> {
  const temporary = `${pointer}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(dirname(pointer), { recursive: true });
    await symlink(relative(dirname(pointer), blob), temporary).catch(() => copyFile(blob, temporary));
    await rename(temporary, pointer);
  } catch (error) {
    throw fileError(error, pointer);
  }
}

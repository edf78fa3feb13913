/** Whole files or none: write to a temporary name beside the target, sync, rename. */
import { randomBytes } from 'node:crypto';
import { access, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KdxError } from '../errors/index.ts';

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** The error a person can act on for a failed file operation; anything unknown passes through. */
export function fileError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new KdxError('disk-full', `no space left on the disk that holds ${path}`, {
        suggestions: ['free some space, or write to another disk with --out'],
        cause: error,
      });
    case 'EFBIG':
      return new KdxError('file-too-large', `${path} becomes larger than the file system or ulimit -f allows`, {
        suggestions: ['write to another disk with --out, or raise the limit'],
        cause: error,
      });
    case 'ENOENT':
      return new KdxError('file-not-found', `${path} does not exist`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new KdxError('file-not-accessible', `no permission to use ${path}`, {
        suggestions: ['look at the owner and the permissions of the file and of the folders above it'],
        cause: error,
      });
    case 'EISDIR':
      return new KdxError('not-a-file', `${path} is a folder, a file is needed`, { cause: error });
    case 'ENOTDIR':
    case 'EEXIST': // of making a folder where a file is
      return new KdxError('not-a-folder', `a part of ${path} is a file, not a folder`, { cause: error });
    default:
      return error;
  }
}

/**
 * Replaces `path` by the content, or leaves it as it was. Folders are made as needed.
 * @throws KdxError `disk-full`, `file-not-accessible`, ...
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array | Chunks): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'w');
    try {
      const chunks =
        typeof content === 'string' ? [Buffer.from(content)] : content instanceof Uint8Array ? [content] : content;
      for await (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(error, path);
  }
}

/** Removes what killed processes left of files that were being written; nobody may be writing into the folder. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (/\.\d+-[0-9a-f]{8}\.tmp$/.test(name)) await rm(join(folder, name), { force: true });
}

/** Makes a rename in a folder survive a power cut, where the platform lets a folder be opened. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Whether something is there. */
export async function fileExists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw fileError(error, path);
  }
}

/** A file that grows by parts, survives being killed, and appears under its name only when it is whole. */
import { open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { KdxError } from 'kdx/errors';
import { fileError, fileExists, syncFolder, writeFileAtomic } from 'kdx/files';
import { createRunFolder, type JsonObject, type RunStart } from 'kdx/recipe';

const rowsName = 'rows';
const stateName = 'state.json';

/** How far a file is, after a whole part. */
interface Saved<State> {
  readonly bytes: number;
  readonly state: State;
}

export interface PartialFile<State> {
  /** As of the last part that was saved; undefined at the start. */
  readonly state: State | undefined;
  readonly warnings: readonly string[];
  /** Appends a part; when it returns, a resumed run goes on after it. */
  append(text: string, state: State): Promise<void>;
  /** Gives the file its name and removes what was beside it. */
  finish(): Promise<void>;
  /** Keeps what was saved for a resumed run; after `finish`, does nothing. */
  close(): Promise<void>;
}

/** @throws KdxError `output-exists` */
export async function refuseExisting(path: string): Promise<void> {
  if (!(await fileExists(path))) return;
  throw new KdxError('output-exists', `${path} is already there`, {
    suggestions: ['--out with another name, or delete it first'],
  });
}

/**
 * Parts are kept in the folder `PATH.partial`, with what the run was started with and a lock.
 * @throws KdxError `output-exists`; `run-exists`, `run-mismatch`, `run-locked` of the folder
 */
export async function openPartialFile<State extends JsonObject>(
  path: string,
  start: RunStart,
): Promise<PartialFile<State>> {
  await refuseExisting(path);
  const folder = await createRunFolder(`${path}.partial`, start).catch((error: unknown) => {
    throw error instanceof KdxError && error.code === 'run-exists' ? unfinished(path, error) : error;
  });
  const rows = folder.file(rowsName);
  try {
    const saved = await readSaved<State>(folder.file(stateName), rows);
    const file = await openAt(rows, saved?.bytes ?? 0);
    let bytes = saved?.bytes ?? 0;
    let isOpen = true;
    return {
      state: saved?.state,
      warnings: folder.warnings,
      async append(text, state) {
        try {
          const content = Buffer.from(text);
          await file.writeFile(content);
          await file.datasync();
          bytes += content.length;
        } catch (error) {
          throw fileError(error, path);
        }
        await writeFileAtomic(folder.file(stateName), `${JSON.stringify({ bytes, state })}\n`);
      },
      async finish() {
        await file.close();
        isOpen = false;
        await refuseExisting(path);
        await rename(rows, path).catch((error: unknown) => {
          throw fileError(error, path);
        });
        await syncFolder(dirname(resolve(path)));
        await rm(folder.path, { recursive: true, force: true });
        await folder.close();
      },
      async close() {
        if (!isOpen) return;
        isOpen = false;
        await file.close();
        await folder.close();
      },
    };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

function unfinished(path: string, cause: KdxError): KdxError {
  return new KdxError('run-exists', `${path}.partial is there, the unfinished rows of ${path}`, {
    suggestions: ['--resume to go on with them', `--out with another name, or delete ${path}.partial first`],
    cause,
  });
}

/** Undefined when nothing was saved, or the file that it speaks of is gone. */
async function readSaved<State>(path: string, rows: string): Promise<Saved<State> | undefined> {
  if (!(await fileExists(path))) return undefined;
  const saved = JSON.parse(await readFile(path, 'utf8')) as Saved<State>;
  const { size } = await stat(rows).catch(() => ({ size: -1 }));
  return size >= saved.bytes ? saved : undefined;
}

/** Opened to be written from `bytes` on; what is behind, the rest of a part that was not saved, is cut off. */
async function openAt(path: string, bytes: number): Promise<FileHandle> {
  const file = await open(path, 'a');
  await file.truncate(bytes);
  return file;
}

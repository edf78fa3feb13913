/** The folder that results are written to. */
import { mkdir } from 'node:fs/promises';
import { KdxError } from 'kdx/errors';
import { fileError } from 'kdx/files';

/** @throws KdxError `not-a-folder`, ... */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') throw new KdxError('not-a-folder', `${path} is a file, a folder is needed`);
    throw fileError(error, path);
  });
}

/** What a model takes when it is downloaded from a server that compresses: gzip at its usual level. */
import { createReadStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { fileError } from 'kdx/files';

/** Larger models are compressed only when asked for: about a second for 30 MB. */
export const COMPRESSED_LIMIT = 200e6;

/**
 * Sum over the files of their size after gzip, bytes.
 * @throws the signal's reason
 */
export async function compressedSize(files: readonly string[], signal?: AbortSignal): Promise<number> {
  let bytes = 0;
  for (const file of files) {
    const count = new Writable({
      write(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        done();
      },
    });
    await pipeline(createReadStream(file), createGzip({ level: 6 }), count, { ...(signal && { signal }) }).catch(
      (error: unknown) => {
        signal?.throwIfAborted();
        throw fileError(error, file);
      },
    );
  }
  return bytes;
}

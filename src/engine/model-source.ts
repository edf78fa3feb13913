/** A model on its way to ONNX Runtime: as bytes, or as a file when it is large. */
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileError } from '../files/index.ts';
import { byteLength, type Model } from '../graph/index.ts';
import { encodeModel, writeModel } from '../onnx/index.ts';

/**
 * Weights above this many bytes take the way over a file: ONNX Runtime maps it, while bytes are copied three times, and
 * protobuf ends at 2 GiB. Windows cannot delete a file that is mapped.
 */
const IN_MEMORY_LIMIT = process.platform === 'win32' ? 1.5e9 : 6.4e7;

/**
 * Calls `use` with the bytes of a model, which are its own, or with the path of its file.
 * @throws KdxError `file-not-found`, `disk-full`, ...
 */
export async function withSource<T>(
  model: Model | string,
  use: (source: Uint8Array<ArrayBuffer> | string) => Promise<T>,
  limit = IN_MEMORY_LIMIT,
): Promise<T> {
  if (typeof model === 'string') {
    await access(model).catch((error: unknown) => {
      throw fileError(error, model);
    });
    return use(resolve(model));
  }
  if (weightBytes(model) <= limit) return use(encodeModel(model).bytes as Uint8Array<ArrayBuffer>);
  const folder = await mkdtemp(join(tmpdir(), 'kdx-'));
  try {
    const path = join(folder, 'model.onnx');
    await writeModel(path, model, { externalData: 'always' });
    return await use(path);
  } finally {
    // Windows does not delete a file that is mapped; the system's cleaning of temporary files will.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

function weightBytes({ graph }: Model): number {
  let bytes = 0;
  for (const { dtype, dims } of graph.initializers.values()) if (dtype !== 'string') bytes += byteLength(dtype, dims);
  return bytes;
}

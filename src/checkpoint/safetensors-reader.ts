/** Reads safetensors files: every tensor goes from the file into its own array, once. */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { fileError } from '../files/index.ts';
import type { Tensor } from '../graph/index.ts';
import { allocate, bytesOf, elementCount, tensor } from '../graph/index.ts';
import { regularFile } from './json.ts';
import type { SafetensorsDType, SafetensorsHeader } from './safetensors-header.ts';
import { corrupt, headerLength, lengthBytes, parseHeader } from './safetensors-header.ts';

/** One read call takes less than 2 GiB. */
const maxReadBytes = 2 ** 30;

export interface Safetensors {
  /** In the order of the file's header. */
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Names, dtypes and shapes of a file, without its data.
 * @throws KdxError `corrupt-safetensors`, `unsupported-dtype`, `file-not-found`, ...
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  return withFile(path, (file) => readHeader(path, file));
}

/**
 * All tensors of a file, float16 and bfloat16 as raw bits.
 * @throws KdxError `corrupt-safetensors` (naming file and tensor), `unsupported-dtype`, `file-not-found`, ...
 */
export async function readSafetensors(path: string): Promise<Safetensors> {
  return withFile(path, async (file) => {
    const { entries, metadata, dataStart } = await readHeader(path, file);
    const tensors = new Map<string, Tensor>();
    for (const { name, dtype, dims, begin, end } of entries) {
      const value = tensor(dtype, dims, allocateFor(path, name, dtype, elementCount(dims)));
      const got = await readInto(file, bytesOf(value), dataStart + begin);
      if (got < end - begin) throw corrupt(path, `it ends inside tensor ${name}`);
      tensors.set(name, value);
    }
    return { tensors, metadata };
  });
}

/** A sparse file holds more than any memory. */
function allocateFor(path: string, name: string, dtype: SafetensorsDType, count: number) {
  try {
    return allocate(dtype, count);
  } catch (error) {
    throw corrupt(path, `tensor ${name} has ${count} elements, more than fit in memory`, error);
  }
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle | undefined;
  try {
    await regularFile(path);
    file = await open(path, 'r');
    return await use(file);
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await file?.close();
  }
}

async function readHeader(path: string, file: FileHandle): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const first = new Uint8Array(lengthBytes);
  const length = headerLength(path, first.subarray(0, await readInto(file, first, 0)), size);
  const header = new Uint8Array(length);
  if ((await readInto(file, header, lengthBytes)) < length) throw corrupt(path, 'it ends inside its header');
  return parseHeader(path, header, size - lengthBytes - length);
}

/** Fills `bytes` from `position` on; the number of bytes read is less only at the end of the file. */
async function readInto(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, maxReadBytes);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** ONNX files, with the data file that a large one has beside it. */
import { readFile, realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError, writeFileAtomic } from '../files/index.ts';
import type { Model } from '../graph/index.ts';
import { decodeFrom } from './decoding.ts';
import { byteSize, modelChunks, tooLarge } from './encoding.ts';
import { externalReader } from './external-files.ts';
import { corrupt } from './faults.ts';
import { PROTOBUF_LIMIT } from './proto.ts';

export interface WriteOptions {
  /** Whether the weights go to `<file>_data`; `auto` (default): only when the model would not fit in one file. */
  readonly externalData?: 'auto' | 'always' | 'never';
  /** Most bytes of a model file; default and maximum is protobuf's 2 GiB - 1. */
  readonly limit?: number;
}

/** The name that Optimum and transformers.js give to the data file of a model: `model.onnx_data`. */
export function externalDataName(path: string): string {
  return `${basename(path)}_data`;
}

/**
 * Reads an ONNX file and its external data. Links are followed only into the folder of the file, or, when the file itself
 * is a link (as in the cache of the Hugging Face hub), into the folder of the file that it leads to.
 * @throws KdxError `file-not-found`, `corrupt-onnx`, `unsupported-onnx`, `invalid-graph`, `missing-external-data`,
 * `unsafe-external-data`
 */
export async function readModel(path: string): Promise<Model> {
  try {
    const found = await stat(path);
    const { size } = found;
    if (!found.isFile() && !found.isDirectory())
      throw new KdxError('not-a-file', `${path} is a device, a file is needed`);
    if (size > PROTOBUF_LIMIT)
      throw corrupt(path, `is no ONNX model: ${size} bytes, at most ${PROTOBUF_LIMIT} are possible`);
    const folders = [await realpath(dirname(path)), dirname(await realpath(path))] as const;
    return decodeFrom(await readFile(path), { file: path, readExternal: externalReader(path, [...folders]) });
  } catch (error) {
    throw fileError(error, path);
  }
}

/**
 * Writes a model whole or not at all, and its data file before it. The model that was there is removed once the new data
 * is written, so that an interrupted write never leaves an old model beside new data.
 * @throws KdxError `invalid-graph`, `model-too-large`, `disk-full`, ...
 */
export async function writeModel(path: string, model: Model, options: WriteOptions = {}): Promise<void> {
  const { externalData = 'auto', limit = PROTOBUF_LIMIT } = options;
  const location = externalDataName(path);
  let chunks = modelChunks(model, externalData === 'always' ? { externalData: { location } } : {});
  if (externalData === 'auto' && byteSize(chunks.model) > limit)
    chunks = modelChunks(model, { externalData: { location } });
  const size = byteSize(chunks.model);
  if (size > limit) throw tooLarge(size, limit, path);
  if (chunks.external.length > 0) await writeFileAtomic(`${path}_data`, beforeOldModelGoes(chunks.external, path));
  await writeFileAtomic(path, chunks.model);
}

async function* beforeOldModelGoes(chunks: readonly Uint8Array[], path: string): AsyncGenerator<Uint8Array> {
  yield* chunks;
  await rm(path, { force: true });
}

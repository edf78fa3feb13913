/** What reads a mutated file. Each call must end in a value or in a KdxError of a user's mistake. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { loadCheckpoint, readConfig, readSafetensors, readSafetensorsHeader } from '../../src/checkpoint/index.ts';
import { openClassifier, openSource, predict } from '../../src/classifier/index.ts';
import { inspectModel } from '../../src/commands/inspection.ts';
import { loadTokenizer } from '../../src/data/index.ts';
import type { KdxError } from '../../src/errors/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { bytesOf, type Model } from '../../src/graph/index.ts';
import { decodeModel, encodeModel, readModel } from '../../src/onnx/index.ts';
import { secret } from './corpus.ts';
import type { Kind } from './mutation.ts';

/** @param dir the folder that was written */
export type Reader = (dir: string, path: string, engine: Engine) => Promise<unknown>;

/** What came from outside of the model's folder would be in one of its tensors. */
function checkOrigin({ graph }: Model): void {
  for (const value of graph.initializers.values()) {
    if (value.dtype === 'string') continue;
    const bytes = bytesOf(value);
    if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(secret.subarray(0, 16)))
      throw new Error('a file outside of the folder was read');
  }
}

const readFileModel: Reader = async (dir, path) => {
  const model = await readModel(join(dir, path));
  checkOrigin(model);
  // What was read is a model: it can be written.
  encodeModel(model);
};

const decode: Reader = async (dir, path) => decodeModel(await readFile(join(dir, path)));

const inspectFile: Reader = async (dir, path) => JSON.stringify(await inspectModel(join(dir, path)));

const inspectFolder: Reader = async (dir) => JSON.stringify(await inspectModel(dir));

/** ONNX Runtime reads an ONNX file itself, and must refuse the same places of external data. */
const classify: Reader = async (dir, path, engine) => {
  const source = await openSource(dir);
  const classifier = await openClassifier(source, engine);
  if (source.onnxFile !== undefined && path.endsWith('.onnx')) await refusesNoPlace(source.onnxFile);
  try {
    await predict(classifier, [{ text: 'a clever battery' }]);
  } finally {
    await classifier.release();
  }
};

async function refusesNoPlace(file: string): Promise<void> {
  await readModel(file).catch((error: unknown) => {
    if ((error as KdxError).code === 'unsafe-external-data')
      throw new Error('ONNX Runtime read a file outside of the folder', { cause: error });
  });
}

const readTensors: Reader = async (dir, path) => {
  await readSafetensorsHeader(join(dir, path));
  await readSafetensors(join(dir, path));
};

const readTokenizer: Reader = async (dir) => {
  const tokenizer = await loadTokenizer(dir);
  tokenizer.encode('a clever battery', undefined, 16);
  tokenizer.encode('A clever, 2nd battery', 'not clever', 16);
};

export const readers: Readonly<Record<Kind, Readonly<Record<string, Reader>>>> = {
  model: { decode, readFileModel, inspectFile },
  external: { readFileModel, inspectFile },
  exported: { decode, inspectFolder, classify },
  safetensors: { readTensors, loadCheckpoint: (dir) => loadCheckpoint(dir), inspectFolder, classify },
  tokenizer: { readTokenizer, loadCheckpoint: (dir) => loadCheckpoint(dir), classify },
  tokenizerConfig: { readTokenizer, classify },
  vocabulary: { readTokenizer, classify },
  merges: { readTokenizer, classify },
  config: { readConfig: (dir, path) => readConfig(join(dir, dirname(path))), inspectFolder, classify },
};

/** Opening a session is slow, so that only every so many-th mutation of a kind is given to ONNX Runtime. */
export const classifyEvery = 4;

/** The teacher's logits on a data set: computed once, then found again by content. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors } from 'kdx/checkpoint';
import { openClassifier, type ClassifierSource } from 'kdx/classifier';
import type { EncodedExamples } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { fileExists, sha256, sha256File } from 'kdx/files';
import { bytesOf, type Tensor } from 'kdx/graph';
import type { Progress } from 'kdx/progress';

/** Raise when the content of a cache entry changes its meaning. */
const FORMAT = 1;

export interface TeacherLogitsOptions {
  readonly maxLength: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Default: KDX_CACHE, or kdx below the user's cache folder. */
  readonly cacheDir?: string;
}

export interface TeacherLogits {
  /** float32 [examples, labels] */
  readonly logits: Tensor<'float32'>;
  /** Whether they were found in the cache. */
  readonly cached: boolean;
}

function defaultCacheDir(): string {
  const { KDX_CACHE, XDG_CACHE_HOME } = process.env;
  return KDX_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'kdx');
}

/** Hash of everything that the teacher's function depends on. */
export async function teacherHash(teacher: ClassifierSource): Promise<string> {
  const { onnxFile, checkpoint, config } = teacher;
  const weights = checkpoint ? weightsHash(checkpoint.weights) : await sha256File(onnxFile as string);
  return sha256(weights, JSON.stringify(config.raw));
}

/** Hash of named tensors, whatever their order and however they are spread over files. */
export function weightsHash(weights: ReadonlyMap<string, Tensor<'float32'>>): string {
  const entries = [...weights].sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(...entries.flatMap(([name, value]) => [`${name} [${value.dims.join()}] `, bytesOf(value)]));
}

/** Computes the logits, or takes them from the cache. An entry of anything else under the key is not taken. */
export async function teacherLogits(
  teacher: ClassifierSource,
  examples: EncodedExamples,
  engine: Engine,
  { maxLength, progress, signal, cacheDir = defaultCacheDir() }: TeacherLogitsOptions,
): Promise<TeacherLogits> {
  const key = sha256(
    JSON.stringify({
      format: FORMAT,
      teacher: await teacherHash(teacher),
      tokenizer: teacher.tokenizer.hash,
      maxLength,
      inputs: sha256(bytes(examples.ids), bytes(examples.typeIds), bytes(examples.offsets)),
    }),
  );
  const path = join(cacheDir, 'teacher-logits', `${key}.safetensors`);
  const dims = [examples.count, teacher.config.labels.length];
  const found = await readEntry(path, key, dims);
  if (found) return { logits: found, cached: true };
  const classifier = await openClassifier(teacher, engine);
  try {
    const logits = await classifier.logits(examples, { progress, signal, label: 'teacher' });
    await writeSafetensors(path, new Map([['logits', logits]]), { key });
    return { logits, cached: false };
  } finally {
    await classifier.release();
  }
}

function bytes({ buffer, byteOffset, byteLength }: Int32Array | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

async function readEntry(path: string, key: string, dims: readonly number[]): Promise<Tensor<'float32'> | undefined> {
  if (!(await fileExists(path))) return undefined;
  try {
    const { tensors, metadata } = await readSafetensors(path);
    const logits = tensors.get('logits');
    const isMine = metadata['key'] === key && logits?.dtype === 'float32' && logits.dims.join() === dims.join();
    return isMine ? (logits as Tensor<'float32'>) : undefined;
  } catch (error) {
    // A damaged entry is made again.
    if (error instanceof KdxError) return undefined;
    throw error;
  }
}

/** What a teacher says of a data set, as far as it repeats: computed once, then found again by content. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors } from 'kdx/checkpoint';
import { computeLogits, openClassifier } from 'kdx/classifier';
import type { EncodedExamples } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { internal, KdxError } from 'kdx/errors';
import { fileExists, sha256 } from 'kdx/files';
import type { Tensor } from 'kdx/graph';
import type { Progress } from 'kdx/progress';
import { tapsModel } from './taps-model.ts';
import type { TeacherModel } from './teacher.ts';

/** Raise when the content of a cache entry changes its meaning. */
const FORMAT = 2;

/** One matrix per data set: the logits, or the first token of a hidden state (0: the embedding output). */
export type CachedTap = 'logits' | `first-token-${number}`;

export interface TeacherRowsOptions {
  readonly engine: Engine;
  readonly maxLength: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Default: KDX_CACHE, or kdx below the user's cache folder. */
  readonly cacheDir?: string;
}

export interface TeacherRows {
  /** float32 [examples, width] */
  readonly rows: ReadonlyMap<CachedTap, Tensor<'float32'>>;
  /** Whether all were found in the cache. */
  readonly cached: boolean;
}

function defaultCacheDir(): string {
  const { KDX_CACHE, XDG_CACHE_HOME } = process.env;
  return KDX_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'kdx');
}

/** Values of a tap for one example. */
export function tapWidth(tap: CachedTap, { config }: Pick<TeacherModel, 'config'>): number {
  return tap === 'logits' ? config.labels.length : config.hiddenSize;
}

/** Computes the rows, or takes them from the cache. An entry of anything else under a key is not taken. */
export async function teacherRows(
  teacher: TeacherModel,
  examples: EncodedExamples,
  taps: readonly CachedTap[],
  { maxLength, engine, progress, signal, cacheDir = defaultCacheDir() }: TeacherRowsOptions,
): Promise<TeacherRows> {
  const inputs = sha256(bytes(examples.ids), bytes(examples.typeIds), bytes(examples.offsets));
  const rows = new Map<CachedTap, Tensor<'float32'>>();
  const missing: { tap: CachedTap; key: string; path: string; width: number }[] = [];
  for (const tap of taps) {
    const key = sha256(
      JSON.stringify({
        format: FORMAT,
        teacher: teacher.hash,
        tokenizer: teacher.tokenizer.hash,
        maxLength,
        inputs,
        tap,
        dtype: 'float32',
      }),
    );
    const path = join(cacheDir, 'teacher', `${key}.safetensors`);
    const width = tapWidth(tap, teacher);
    const found = await readEntry(path, key, [examples.count, width]);
    if (found) rows.set(tap, found);
    else missing.push({ tap, key, path, width });
  }
  if (missing.length === 0) return { rows, cached: true };
  const wanted = missing.map(({ tap }) => tap);
  const values = await compute(teacher, examples, wanted, { maxLength, engine, progress, signal });
  let column = 0;
  for (const { tap, key, path, width } of missing) {
    const part = columns(values, column, width);
    await writeSafetensors(path, new Map([['values', part]]), { key });
    rows.set(tap, part);
    column += width;
  }
  return { rows, cached: false };
}

/** The taps side by side, float32 [examples, sum of widths]. */
async function compute(
  teacher: TeacherModel,
  examples: EncodedExamples,
  taps: readonly CachedTap[],
  { engine, maxLength, progress, signal }: TeacherRowsOptions,
): Promise<Tensor<'float32'>> {
  const options = { maxLength, progress, signal, label: 'teacher' };
  const { checkpoint, classifier } = teacher;
  if (taps.every((tap) => tap === 'logits') && classifier) {
    const opened = await openClassifier(classifier, engine);
    try {
      return await opened.logits(examples, options);
    } finally {
      await opened.release();
    }
  }
  if (!checkpoint) throw internal(`${teacher.ref} has no ${taps.join(', ')}`);
  const session = await engine.createSession(tapsModel(checkpoint, taps), { name: 'teacher' });
  try {
    const width = taps.reduce((sum, tap) => sum + tapWidth(tap, teacher), 0);
    return await computeLogits(
      async (feeds) => {
        const used = Object.fromEntries(session.inputs.map((name) => [name, feeds[name] as Tensor]));
        return (await session.run({ feeds: used, fetch: ['taps'] }))['taps'] as Tensor;
      },
      examples,
      { ...options, labels: width },
    );
  } finally {
    await session.release();
  }
}

function columns({ dims, data }: Tensor<'float32'>, start: number, width: number): Tensor<'float32'> {
  const [rows, all] = dims as [number, number];
  if (width === all) return { dtype: 'float32', dims, data };
  const part = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++)
    part.set(data.subarray(row * all + start, row * all + start + width), row * width);
  return { dtype: 'float32', dims: [rows, width], data: part };
}

function bytes({ buffer, byteOffset, byteLength }: Int32Array | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

async function readEntry(path: string, key: string, dims: readonly number[]): Promise<Tensor<'float32'> | undefined> {
  if (!(await fileExists(path))) return undefined;
  try {
    const { tensors, metadata } = await readSafetensors(path);
    const values = tensors.get('values');
    const isMine = metadata['key'] === key && values?.dtype === 'float32' && values.dims.join() === dims.join();
    return isMine ? (values as Tensor<'float32'>) : undefined;
  } catch (error) {
    // A damaged entry is made again.
    if (error instanceof KdxError) return undefined;
    throw error;
  }
}

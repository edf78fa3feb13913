/** Folding a file: every weight stored once, the answers compared, and the result in its place only when they agree. */
import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Engine } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { fileError, fileExists, sha256File, syncFolder } from 'kdx/files';
import { externalDataName, readModel, writeModel } from 'kdx/onnx';
import { foldInitializers, type FoldReport } from 'kdx/passes';
import { compareAnswers, type AnswerCheck } from './same-answers.ts';

export interface FoldFileOptions {
  readonly out: string;
  /** Of the CPU: it compares the answers. */
  readonly engine: Engine;
  readonly signal: AbortSignal;
  /** Also store once what is there as itself and transposed or reshaped; default true. */
  readonly views?: boolean;
  /** Replace what is at `out`. */
  readonly force?: boolean;
  /** Default `auto`: a data file beside the model when it is over 2 GB. */
  readonly externalData?: 'auto' | 'always';
}

export interface FoldedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface FoldResult extends FoldReport {
  readonly out: string;
  /** The model, then its data file if it has one. */
  readonly files: readonly FoldedFile[];
  readonly answers: AnswerCheck;
}

/**
 * Folds an ONNX file. Nothing is at `out` unless all went well.
 * @throws KdxError of readModel and writeModel; `output-exists`; `fold-failed` when the answers differ
 */
export async function foldFile(file: string, options: FoldFileOptions): Promise<FoldResult> {
  const { out, engine, signal, views, externalData = 'auto' } = options;
  if (!options.force) await refuseExisting(out);
  const original = await readModel(file);
  const { model, report } = foldInitializers(original, views === undefined ? {} : { views });
  return beside(out, async (folder) => {
    const written = join(folder, basename(out));
    await writeModel(written, model, { externalData });
    signal.throwIfAborted();
    const answers = await compareAnswers(original.graph, file, written, engine, signal);
    if (answers.checked && !answers.same)
      throw new KdxError('fold-failed', `${file} answers otherwise when it is folded: ${answers.difference}`, {
        suggestions: [
          ...(views === false ? [] : ['--no-views to fold equal tensors only']),
          'please report it, with the file and the output of "kdx doctor --json"',
        ],
        exitCode: 1,
      });
    return { out, ...report, files: await moveInto(out, written), answers };
  });
}

async function refuseExisting(out: string): Promise<void> {
  for (const path of [out, dataFile(out)])
    if (await fileExists(path))
      throw new KdxError('output-exists', `${path} exists already`, {
        suggestions: ['--force to replace it', '--out with another name'],
      });
}

function dataFile(path: string): string {
  return join(dirname(path), externalDataName(path));
}

/** Calls `use` with a folder beside a file to be, which is gone afterwards. */
async function beside<T>(out: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = `${resolve(out)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(folder, { recursive: true });
    return await use(folder);
  } catch (error) {
    throw fileError(error, out);
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** The data first, and no old model beside it while the new one is not there. */
async function moveInto(out: string, written: string): Promise<FoldedFile[]> {
  const hasData = await fileExists(dataFile(written));
  if (hasData) {
    await rm(out, { force: true });
    await rename(dataFile(written), dataFile(out));
  }
  await rename(written, out);
  await syncFolder(dirname(resolve(out)));
  const paths = hasData ? [out, dataFile(out)] : [out];
  return Promise.all(
    paths.map(async (path) => ({ path, bytes: (await stat(path)).size, sha256: await sha256File(path) })),
  );
}

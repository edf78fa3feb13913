/** The result of a measurement on another device, read from its file. Nothing of it is believed before it is checked. */
import { readFile, stat } from 'node:fs/promises';
import { KdxError } from 'kdx/errors';
import { fileError, sha256 } from 'kdx/files';
import { resultFormat, resultSchema, resultVersion, type RunnerResult } from './plan.ts';

/** Larger ones are not read; a thousand rounds of ten models take 0.2 MB per cell. */
const MOST_BYTES = 200e6;

/** @throws KdxError `file-not-found`, ...; `invalid-result` */
export async function readResult(file: string): Promise<RunnerResult> {
  const text = await textOf(file);
  const value = parse(text, file);
  if (!isObject(value) || value['format'] !== resultFormat) throw invalid(file, 'it is no result of run.mjs');
  if (value['version'] !== resultVersion)
    throw invalid(
      file,
      `it is of format ${JSON.stringify(value['version'])?.slice(0, 20)}, expected ${resultVersion}`,
      {
        suggestion: 'write the folder again with `kdx bench --export-runner DIR --force`, and measure there',
      },
    );
  const { sha256: stated, ...content } = value;
  if (sha256(JSON.stringify(content)) !== stated) throw invalid(file, 'it was changed or damaged: its hash differs');
  const { data, error } = resultSchema.safeParse(value);
  if (error) {
    const [issue] = error.issues;
    throw invalid(file, `${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
  }
  const wrong = contradiction(data);
  if (wrong !== undefined) throw invalid(file, wrong);
  return data;
}

async function textOf(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MOST_BYTES) throw invalid(file, `it has ${size} bytes, at most ${MOST_BYTES} are read`);
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(error, file);
  }
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(file, 'it is no JSON', { cause: error });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** What no schema of single values says. */
function contradiction({ plan, cells, skipped }: RunnerResult): string | undefined {
  const models = plan.models.length;
  if (new Set(plan.models.map(({ name }) => name)).size < models) return 'plan.models: two have the same name';
  const uneven = plan.cells.findIndex(({ flops }) => flops.length !== models);
  if (uneven >= 0) return `plan.cells.${uneven}.flops: expected ${models} values, one per model`;
  const seen = new Set<number>();
  for (const [i, { cell, models: series, controlMs, openings }] of cells.entries()) {
    if (cell >= plan.cells.length || seen.has(cell))
      return `cells.${i}.cell: ${cell} is no cell of the plan, or there twice`;
    seen.add(cell);
    if (series.length !== models)
      return `cells.${i}.models: ${series.length} series, expected ${models}, one per model`;
    if (series.some(({ samplesMs }) => samplesMs.length !== controlMs.length))
      return `cells.${i}: expected the same number of samples of each model and of the control`;
    if (openings.reduce((sum, rounds) => sum + rounds, 0) !== controlMs.length)
      return `cells.${i}.openings: expected numbers that add up to the ${controlMs.length} samples`;
  }
  const unknown = skipped.findIndex(({ cell }) => cell >= plan.cells.length);
  return unknown < 0 ? undefined : `skipped.${unknown}.cell is no cell of the plan`;
}

interface Invalid {
  readonly suggestion?: string;
  readonly cause?: unknown;
}

const again = 'measure again with run.mjs or the page of the folder that `kdx bench --export-runner DIR` wrote';

function invalid(file: string, why: string, { suggestion = again, cause }: Invalid = {}): KdxError {
  return new KdxError('invalid-result', `${file} cannot be imported: ${why}`, { suggestions: [suggestion], cause });
}

/** A runner's folder of two tiny models, made once per test file, and the ways to run it. */
import { mkdtemp, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportRunner, type RunnerOptions } from '../../plugins/bench/src/index.ts';
import { findWebPackage } from '../../src/engine/index.ts';
import { runNode, type Outcome, type RunOptions } from '../cli/program.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';

export const withoutWeb =
  findWebPackage(new URL('../../plugins/bench/src/index.ts', import.meta.url).href) === undefined &&
  'onnxruntime-web is not installed';

export interface Models {
  readonly dir: string;
  readonly teacher: string;
  readonly student: string;
  remove(): Promise<void>;
}

export async function tinyModels(): Promise<Models> {
  const dir = await mkdtemp(join(tmpdir(), 'kdx-runner-'));
  const [teacher, student] = [join(dir, 'teacher'), join(dir, 'student')];
  const wide = { hidden_size: 48, intermediate_size: 96 };
  await writeTinyClassifier(teacher, { config: { ...wide, num_hidden_layers: 4 } });
  await writeTinyClassifier(student, { config: { ...wide, num_hidden_layers: 1 }, seed: 2 });
  return { dir, teacher, student, remove: () => rm(dir, { recursive: true }) };
}

export async function exportTo(
  folder: string,
  { teacher, student }: Models,
  options: Partial<RunnerOptions> = {},
): ReturnType<typeof exportRunner> {
  const grid = { batch: [1], length: [16], threads: [1] };
  return exportRunner({ teacher, students: [student], grid, seconds: 0.2, openings: 3, seed: 7, folder, ...options });
}

export interface ThereOptions extends RunOptions {
  /** This repository's; default yes. */
  readonly withPackages?: boolean;
}

/** @returns what run.mjs says */
export async function runThere(
  folder: string,
  words: readonly string[],
  { withPackages = true, ...options }: ThereOptions = {},
): Promise<Outcome> {
  const link = join(folder, 'node_modules');
  if (withPackages) await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), link);
  try {
    return await runNode([join(folder, 'run.mjs'), ...words], options);
  } finally {
    if (withPackages) await unlink(link);
  }
}

/** Asks for words that no vocabulary has in one cell of the plan: its models open, and their runs fail. */
export async function spoilCell(folder: string, cell: number): Promise<void> {
  const file = join(folder, 'inputs.json');
  const inputs = JSON.parse(await readFile(file, 'utf8')) as {
    tensors: { data: number[] }[];
    cells: Record<string, number>[][][];
  };
  const places = new Set(inputs.cells[cell]!.flat().flatMap((feeds) => feeds['input_ids']!));
  for (const place of places) inputs.tensors[place]!.data.fill(1e6);
  await writeFile(file, JSON.stringify(inputs));
}

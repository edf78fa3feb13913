/** The cells of a comparison: which there are, how one is trained, and where its result is kept. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BertConfig } from 'kdx/checkpoint';
import { openClassifier, openSource } from 'kdx/classifier';
import { encodeExamples, type Task, type TaskData } from 'kdx/data';
import { fileExists, sha256, writeFileAtomic } from 'kdx/files';
import { classifierFlops } from 'kdx/nn';
import { differences, kdxVersions, lockFile, type CheckedRecipe, type JsonObject } from 'kdx/recipe';
import { distill, prepareDistillation, type Prepared } from '../distill.ts';
import { distillSchema, withDefaults, type DistillRecipe } from '../recipe/schema.ts';
import type { Surroundings } from '../stage.ts';
import { teachingHash } from '../teacher.ts';
import { trainingData } from '../training-data.ts';
import type { Cell, StudentFacts } from './cell.ts';

/** Length that FLOPs are given for. */
const FLOPS_LENGTH = 128;

/** A cell to be trained. */
export interface CellSpec {
  readonly method: string;
  readonly seed: number;
  readonly fraction: number;
  readonly recipe: CheckedRecipe<DistillRecipe>;
  readonly augmented: readonly string[];
}

export interface CellSetting {
  readonly out: string;
  readonly teachers: readonly string[];
  readonly studentModel?: string;
  readonly data: TaskData;
  readonly corpus?: string;
  /** Leaves the trained students where they are. */
  readonly keep: boolean;
}

/** A cell as it is kept. */
export interface StoredCell extends Cell {
  /** Hash of the models and examples that it was made from. */
  readonly key: string;
}

export function cellName(spec: Pick<CellSpec, 'method' | 'seed' | 'fraction'>): string {
  return `${spec.method}-${sampleName(spec)}`;
}

/** Of the examples and the seed, which the cells of all methods have in common. */
function sampleName({ seed, fraction }: Pick<CellSpec, 'seed' | 'fraction'>): string {
  return `${Number((fraction * 100).toPrecision(6))}pct-seed${seed}`;
}

export function cellFile(out: string, spec: Pick<CellSpec, 'method' | 'seed' | 'fraction'>): string {
  return join(out, 'cells', `${cellName(spec)}.json`);
}

/** Everything of a cell checked and opened. @throws KdxError of prepareDistillation */
export async function prepareCell(spec: CellSpec, setting: CellSetting): Promise<Prepared> {
  const { data: all, teachers, studentModel, corpus } = setting;
  const count = Math.max(1, Math.round(spec.fraction * all.train.length));
  const data = await trainingData(all, {
    augmented: spec.augmented,
    ...(spec.fraction < 1 && { limit: count }),
    seed: spec.seed,
  });
  return prepareDistillation({
    teachers,
    ...(studentModel !== undefined && { studentModel }),
    recipe: spec.recipe,
    data,
    ...(corpus !== undefined && { corpus }),
  });
}

/** Models and examples that a cell's result depends on; the recipe is compared by its values, see `cellDifferences`. */
function cellKey(spec: CellSpec, { teachers, studentHash, data, corpus, tokenizer }: Prepared): string {
  return sha256(
    JSON.stringify({
      teachers: teachers.map((teacher) => teachingHash(teacher, tokenizer)),
      student: studentHash,
      tokenizer: tokenizer.hash,
      examples: data && [data.train, data.dev].map((examples) => sha256(JSON.stringify(examples))),
      ...(corpus && { corpus: corpus.hash }),
      seed: spec.seed,
      fraction: spec.fraction,
    }),
  );
}

/**
 * What tells a stored cell from one to be trained; empty when it is that cell. An option that did not exist when it was
 * made has its default.
 */
export function cellDifferences(found: StoredCell, spec: CellSpec, prepared: Prepared): string[] {
  const recipes = differences(
    withDefaults(distillSchema, found.recipe),
    prepared.recipe as unknown as JsonObject,
    'recipe',
  );
  if (recipes.length > 0 || found.key === cellKey(spec, prepared)) return recipes;
  return ['another teacher, student, data or corpus'];
}

/**
 * Trains a cell, or goes on with it, and writes its result; nothing where another process has done so meanwhile. What a
 * kill left of a finished cell is cleared away.
 * @throws KdxError `run-locked` where another process is at it
 */
export async function runCell(
  spec: CellSpec,
  setting: CellSetting,
  prepared: Prepared,
  surroundings: Surroundings,
): Promise<void> {
  const file = cellFile(setting.out, spec);
  const folder = runFolder(setting.out, spec);
  await mkdir(dirname(folder), { recursive: true });
  const unlock = await lockFile(cellLock(setting.out, spec), cellName(spec));
  try {
    if (!(await fileExists(file))) {
      const cell = await trainedCell(spec, setting.out, prepared, surroundings);
      await writeFileAtomic(file, `${JSON.stringify(cell)}\n`);
    }
    if (!setting.keep) await rm(folder, { recursive: true, force: true });
  } finally {
    await unlock();
  }
}

/** Where a cell is trained. */
function runFolder(out: string, spec: CellSpec): string {
  return join(out, 'runs', cellName(spec));
}

/** Stages that a method has in common with others, until all of them are trained. */
export function stageFolder(out: string, spec: Pick<CellSpec, 'seed' | 'fraction'>): string {
  return join(out, 'stages', sampleName(spec));
}

/** Held from the first step of a cell until its result is written and its folder gone. */
export function cellLock(out: string, spec: CellSpec): string {
  return `${runFolder(out, spec)}.lock`;
}

async function trainedCell(
  spec: CellSpec,
  out: string,
  prepared: Prepared,
  { engine, progress, signal }: Surroundings,
): Promise<StoredCell> {
  const folder = runFolder(out, spec);
  const started = new Date().toISOString();
  const resume = await fileExists(join(folder, 'run.json'));
  const result = await distill(prepared, {
    engine,
    progress,
    signal,
    out: folder,
    resume,
    stageStore: stageFolder(out, spec),
  });
  const data = prepared.data as TaskData;
  const { maxLength } = prepared.train;
  const source = await openSource(folder);
  const classifier = await openClassifier(source, engine);
  let logits: readonly (readonly number[])[];
  try {
    const encoded = encodeExamples(source.tokenizer, data.dev, maxLength);
    logits = rowsOf(await classifier.logits(encoded, { maxLength, progress, signal }), data.task.kind);
  } finally {
    await classifier.release();
  }
  return {
    format: 1,
    key: cellKey(spec, prepared),
    method: spec.method,
    task: data.task.name,
    seed: spec.seed,
    fraction: spec.fraction,
    trainExamples: data.train.length,
    recipe: prepared.recipe as unknown as JsonObject,
    student: studentFacts(prepared, result.parameters),
    primary: data.task.primary,
    metrics: result.metrics,
    devLogits: logits,
    training: {
      seconds: result.seconds,
      steps: result.steps,
      examples: result.stages.reduce((sum, stage) => sum + stage.examples, 0),
      stages: result.stages.map(({ name, steps, seconds }) => ({ name, steps, seconds })),
      ...(result.cpuSeconds !== undefined && { cpuSeconds: result.cpuSeconds }),
    },
    versions: kdxVersions(),
    device: engine.device.description,
    started,
  };
}

function studentFacts({ student, plan }: Prepared, parameters: number): StudentFacts {
  const { layers, depth, hidden } = plan.student;
  return { layers, depth, hidden, parameters, flops: flopsOf(student.config) };
}

/** Of one sequence, for students and teachers alike. */
export function flopsOf(config: BertConfig): number {
  return classifierFlops(config, config.labels.length, FLOPS_LENGTH);
}

/**
 * Rows of a matrix, short in a file: six digits decide an argmax and every statistic, ranks of a regression need all
 * that a float32 has.
 */
export function rowsOf(
  { dims, data }: { readonly dims: readonly number[]; readonly data: Float32Array },
  kind: Task['kind'],
): number[][] {
  const [rows, width] = dims as [number, number];
  const digits = kind === 'regression' ? 9 : 6;
  return Array.from({ length: rows }, (_, row) =>
    Array.from(data.subarray(row * width, (row + 1) * width), (value) => Number(value.toPrecision(digits))),
  );
}

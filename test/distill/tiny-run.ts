/** Distillations small enough to be run again and again: tiny teachers, a few reviews, one thread. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { distill, prepareDistillation, type DistillResult, type Prepared } from '../../plugins/distill/src/distill.ts';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { parseStudent } from '../../plugins/distill/src/recipe/student.ts';
import { loadTaskData, type TaskData } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { silentProgress, type Progress } from '../../src/progress/index.ts';
import { reviewsFolder } from '../support/tiny-classifier.ts';

export interface Scene {
  /** A path below the folder of a test file. */
  path(...names: string[]): string;
  readonly engine: Engine;
}

/**
 * A folder with the caches of kdx in it, and an engine, for all tests of a file.
 * @param setUp what else the tests need
 */
export function useScene(setUp: (scene: Scene) => Promise<unknown> = () => Promise.resolve()): Scene {
  let folder = '';
  let engine: Engine | undefined;
  const outside = process.env['KDX_CACHE'];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kdx-runs-'));
    process.env['KDX_CACHE'] = join(folder, 'cache');
    engine = await openEngine({ device: 'cpu', threads: 1 });
    await setUp(scene);
  });
  after(async () => {
    await engine?.close();
    if (outside === undefined) delete process.env['KDX_CACHE'];
    else process.env['KDX_CACHE'] = outside;
    await rm(folder, { recursive: true, force: true });
  });
  const scene: Scene = {
    path: (...names) => join(folder, ...names),
    get engine() {
      return engine as Engine;
    },
  };
  return scene;
}

/** A folder in the layout of SST-2 with the first reviews of fixtures/tasks. */
export async function writeReviews(dir: string, train = 24, dev = 12): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const [name, count] of [
    ['train.tsv', train],
    ['dev.tsv', dev],
  ] as const) {
    const lines = (await readFile(join(reviewsFolder, name), 'utf8')).split('\n');
    await writeFile(join(dir, name), lines.slice(0, 1 + count).join('\n'));
  }
}

export async function tinyData(train = 24, dev = 12): Promise<TaskData> {
  const all = await loadTaskData({ task: 'sst2', dir: reviewsFolder });
  return { ...all, train: all.train.slice(0, train), dev: all.dev.slice(0, dev), warnings: [] };
}

export interface TinyRun {
  readonly out: string;
  readonly teachers: readonly string[];
  readonly method: string;
  /** A shape, default two layers of the teacher; not with `studentModel`, a checkpoint. */
  readonly student?: string;
  readonly studentModel?: string;
  readonly data?: TaskData;
  readonly corpus?: string;
  readonly set?: readonly string[];
  readonly resume?: boolean;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** Two epochs; with the data above three steps in each. The state is saved after every step. */
export const tinyTraining = { epochs: 2, batch: 8, maxLength: 16, lr: 1e-3, saveEvery: 0, warmup: 0 };

export async function prepare(run: Omit<TinyRun, 'out'>): Promise<Prepared> {
  const { method, student = 'layers=2', studentModel, set = [], teachers, data, corpus } = run;
  const recipe = await checkDistillRecipe({
    method,
    set,
    flags: { train: tinyTraining, ...(studentModel === undefined && { student: parseStudent(student) }) },
    studentGiven: studentModel !== undefined,
  });
  return prepareDistillation({
    teachers,
    recipe,
    ...(studentModel !== undefined && { studentModel }),
    ...(data && { data }),
    ...(corpus !== undefined && { corpus }),
  });
}

export async function run(engine: Engine, given: TinyRun): Promise<DistillResult> {
  const { out, resume = false, progress = silentProgress, signal = new AbortController().signal } = given;
  return distill(await prepare(given), { engine, out, resume, progress, signal });
}

export interface LoggedStep {
  readonly step: number;
  readonly stage: string;
  readonly [metric: string]: number | string;
}

/** Lines of metrics.jsonl. */
export async function loggedSteps(out: string): Promise<LoggedStep[]> {
  const lines = (await readFile(join(out, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as LoggedStep);
}

/** Progress that keeps the lines that were said. */
export function listening(): Progress & { readonly lines: string[] } {
  const lines: string[] = [];
  return { ...silentProgress, lines, message: (line) => void lines.push(line) };
}

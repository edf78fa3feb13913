/** kdx compare: trains every cell of a comparison that is not there yet, and reports on those that are. */
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BertConfig } from 'kdx/checkpoint';
import { scoreTask, type TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { fileError, fileExists, sha256, writeFileAtomic } from 'kdx/files';
import { classifierParameters, parameterCount } from 'kdx/nn';
import type { CheckedRecipe } from 'kdx/recipe';
import type { Prepared } from '../distill.ts';
import type { DistillRecipe } from '../recipe/schema.ts';
import type { Surroundings } from '../stage.ts';
import { taskTokens } from '../task-tokens.ts';
import { meanLogits, teachingHash, type TeacherModel } from '../teacher.ts';
import { teacherRows } from '../teacher-cache.ts';
import type { ComparedTeacher, Comparison, Plan } from './cell.ts';
import {
  cellDifferences,
  cellFile,
  cellLock,
  cellName,
  flopsOf,
  prepareCell,
  rowsOf,
  runCell,
  stageFolder,
  type CellSpec,
  type StoredCell,
} from './cells.ts';
import { againstOf } from './lists.ts';
import { renderHtml } from './render-html.ts';
import { renderMarkdown } from './render-markdown.ts';
import type { CompareReport } from './report.ts';
import { summarize } from './summarize.ts';

export interface ComparedMethod {
  /** Label of its row. */
  readonly name: string;
  /** The recipe for a seed. */
  readonly recipe: (seed: number) => Promise<CheckedRecipe<DistillRecipe>>;
}

export interface CompareOptions extends Surroundings {
  readonly out: string;
  readonly resume: boolean;
  readonly teachers: readonly string[];
  readonly studentModel?: string;
  readonly methods: readonly ComparedMethod[];
  readonly seeds: readonly number[];
  readonly fractions: readonly number[];
  /** List of methods that the others are compared with, beside finetune and kd. */
  readonly against?: string;
  readonly data: TaskData;
  readonly augmented: readonly string[];
  readonly corpus?: string;
  readonly keep: boolean;
  /** The command line, for the report. */
  readonly command: string;
}

/** The setting of a comparison, in OUT/comparison.json: what all cells have in common. */
type Setting = Omit<Comparison, 'cells'> & { readonly format: 1; readonly key: string };

const settingName = 'comparison.json';

/**
 * @throws KdxError `run-exists`, `run-mismatch`; `impossible-distillation` with the problems of all methods; those of training
 */
export async function compare(options: CompareOptions): Promise<CompareReport> {
  const { out, progress } = options;
  const specs = await cellSpecs(options);
  await checkAll(specs, options);
  const setting = await settingOf(options, await prepareCell(specs[0] as CellSpec, options));
  for (const spec of specs) await checkFound(spec, options);
  await writeFileAtomic(join(out, settingName), `${JSON.stringify(setting)}\n`);
  await removeStages(out, setting.plan);
  let skipped = 0;
  for (const [index, spec] of specs.entries()) {
    options.signal.throwIfAborted();
    const isDone = await fileExists(cellFile(out, spec));
    // A lock beside a finished cell is one of another process at its end, or of one that was killed there.
    if (isDone && !(await fileExists(cellLock(out, spec)))) continue;
    if (!isDone) progress.message(`cell ${index + 1} of ${specs.length}: ${cellName(spec)}`);
    try {
      await runCell(spec, options, await prepareCell(spec, options), options);
      await removeStages(out, setting.plan);
    } catch (error) {
      if (!(error instanceof KdxError) || error.code !== 'run-locked') throw error;
      if (isDone) continue;
      progress.message(`note: ${cellName(spec)} is being trained by another process`);
      skipped++;
    }
    await writeReport(out);
  }
  if (skipped > 0) progress.message(`note: ${skipped} cells are left to other processes`);
  return writeReport(out);
}

/**
 * The report on what is in a folder, written there as report.json, report.md and index.html.
 * @param against list of further methods that the others are to be compared with
 * @throws KdxError `not-a-comparison`; `invalid-usage` where one is not there
 */
export async function reportOn(out: string, against?: string): Promise<CompareReport> {
  if (!(await fileExists(join(out, settingName))))
    throw new KdxError('not-a-comparison', `${out} has no ${settingName}`, {
      suggestions: ['give the --out of an earlier kdx compare'],
    });
  if (against !== undefined) {
    const { cells: _, ...setting } = await readComparison(out);
    const plan = { ...setting.plan, against: union(setting.plan.against, againstOf(against, setting.plan.methods)) };
    await writeFileAtomic(join(out, settingName), `${JSON.stringify({ ...setting, plan })}\n`);
  }
  return writeReport(out);
}

/** Seeds outermost, so that every method is seen once before any is repeated. */
async function cellSpecs({ methods, seeds, fractions, augmented }: CompareOptions): Promise<CellSpec[]> {
  const specs: CellSpec[] = [];
  for (const seed of seeds)
    for (const fraction of fractions)
      for (const { name, recipe } of methods)
        specs.push({ method: name, seed, fraction, recipe: await recipe(seed), augmented });
  return specs;
}

/** Opens the first cell of each method, to say all that is wrong before anything is trained. */
async function checkAll(specs: readonly CellSpec[], options: CompareOptions): Promise<void> {
  const problems: { method: string; error: KdxError }[] = [];
  const first = new Map([...specs].reverse().map((spec) => [spec.method, spec]));
  for (const [method, spec] of [...first].reverse())
    await prepareCell(spec, options).catch((error: unknown) => {
      if (!(error instanceof KdxError)) throw error;
      problems.push({ method, error });
    });
  const [one] = problems;
  if (!one) return;
  const isCommon = problems.length === first.size && problems.every(({ error }) => error.message === one.error.message);
  if (isCommon) throw one.error;
  throw new KdxError(
    'impossible-distillation',
    problems.map(({ method, error }) => `${method}: ${error.message}`).join('\n'),
    { suggestions: [...new Set(problems.flatMap(({ error }) => error.suggestions))], cause: one.error },
  );
}

/** @throws KdxError `run-mismatch` where a cell that is there is not the one to be trained */
async function checkFound(spec: CellSpec, options: CompareOptions): Promise<void> {
  const { out } = options;
  const path = cellFile(out, spec);
  if (!(await fileExists(path))) return;
  const different = cellDifferences(await readStored<StoredCell>(path), spec, await prepareCell(spec, options));
  if (different.length === 0) return;
  const lines = different.map((line) => `  ${line}`).join('\n');
  throw new KdxError('run-mismatch', `${cellName(spec)} in ${out} was made otherwise\n${lines}`, {
    suggestions: ['another --out', 'another name for the method, as in --methods other=FILE'],
  });
}

/** What is in the folder already, with `resume`, and the methods, seeds and fractions that are added to it. */
async function settingOf(options: CompareOptions, prepared: Prepared): Promise<Setting & { readonly plan: Plan }> {
  const { out, resume, data, engine, progress, signal, methods, seeds, fractions, against } = options;
  const { maxLength } = prepared.train;
  const key = sha256(
    JSON.stringify([
      prepared.teachers.map((teacher) => teachingHash(teacher, prepared.tokenizer)),
      data.task.name,
      maxLength,
      sha256(JSON.stringify([data.train, data.dev])),
    ]),
  );
  const path = join(out, settingName);
  const names = await namesIn(out);
  const found = names.includes(settingName) ? await readStored<Setting>(path) : undefined;
  if (found && !resume)
    throw new KdxError('run-exists', `${out} holds a comparison`, {
      suggestions: ['--resume to go on with it', 'another --out'],
    });
  if (found && found.key !== key)
    throw new KdxError(
      'run-mismatch',
      `the comparison in ${out} has another teacher, other data or another --max-length`,
      {
        suggestions: ['another --out for another comparison'],
      },
    );
  // What a kill leaves of the first file is no reason to refuse.
  if (!found && names.some((name) => !name.endsWith('.tmp')))
    throw new KdxError('run-exists', `${out} is not empty`, {
      suggestions: ['--out with a folder that is new or empty'],
    });
  const known = union(
    found?.plan?.methods,
    methods.map((method) => method.name),
  );
  const named = against === undefined ? [] : againstOf(against, known);
  const devLabels = data.dev.map(({ label }) => label);
  const tokensOf = taskTokens(data, maxLength);
  const rows = [];
  for (const teacher of prepared.teachers) {
    const encoded = tokensOf(teacher.tokenizer, 'dev');
    rows.push(await teacherRows(teacher, encoded, ['logits'], { engine, maxLength, progress, signal }));
  }
  const logits = meanLogits(rows);
  const { name, kind, labels, primary, metrics } = data.task;
  const plan: Plan = {
    methods: known,
    seeds: union(found?.plan?.seeds, seeds),
    fractions: union(found?.plan?.fractions, fractions),
    against: union(found?.plan?.against, named),
  };
  return {
    format: 1,
    key,
    task: { name, kind, labels, primary, metrics },
    teacher: {
      ref: prepared.teachers.map(({ ref }) => ref).join(' + '),
      ...costOf(prepared.teachers),
      metrics: scoreTask(data.task, logits.data, devLabels).metrics,
      devLogits: rowsOf(logits, kind),
    },
    devLabels,
    commands: union(found?.commands, [options.command]),
    plan,
  };
}

/** Removes the stages that no method needs any more, of the samples that all methods are trained on. */
async function removeStages(out: string, { methods, seeds, fractions }: Plan): Promise<void> {
  for (const seed of seeds)
    for (const fraction of fractions) {
      const done = await Promise.all(methods.map((method) => fileExists(cellFile(out, { method, seed, fraction }))));
      if (done.every(Boolean)) await rm(stageFolder(out, { seed, fraction }), { recursive: true, force: true });
    }
  // Not empty while another sample has some.
  await rmdir(join(out, 'stages')).catch(() => undefined);
}

/** Names in a folder, none if it does not exist. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileError(error, folder);
  }
}

/** Of all teachers together; not known of an ONNX file of another model type. */
function costOf(teachers: readonly TeacherModel[]): Pick<ComparedTeacher, 'parameters' | 'flops'> {
  const configs = teachers.map(({ config }) => config);
  if (configs.some(({ isForeign }) => isForeign)) return { parameters: null, flops: null };
  const sum = (of: (config: BertConfig) => number) => configs.reduce((total, config) => total + of(config), 0);
  return {
    parameters: sum((config) => parameterCount(classifierParameters(config, config.labels.length))),
    flops: sum(flopsOf),
  };
}

async function readStored<T>(path: string): Promise<T> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new KdxError('invalid-json', `${path} is not JSON: ${(error as Error).message}`, {
      suggestions: ['fetch it again from where it came, or delete it: a cell that is missing is trained again'],
      cause: error,
    });
  }
}

/** What is in a folder. Other processes, and cells copied from elsewhere, may have added to the plan. */
async function readComparison(out: string): Promise<Setting & { readonly plan: Plan; readonly cells: StoredCell[] }> {
  const setting = await readStored<Setting>(join(out, settingName));
  const names = (await namesIn(join(out, 'cells'))).filter((name) => name.endsWith('.json')).sort();
  const cells: StoredCell[] = [];
  for (const name of names) cells.push(await readStored<StoredCell>(join(out, 'cells', name)));
  const plan: Plan = {
    ...setting.plan,
    methods: union(
      setting.plan?.methods,
      cells.map(({ method }) => method),
    ),
    seeds: union(
      setting.plan?.seeds,
      cells.map(({ seed }) => seed),
    ),
    fractions: union(
      setting.plan?.fractions,
      cells.map(({ fraction }) => fraction),
    ),
  };
  return { ...setting, plan, cells };
}

async function writeReport(out: string): Promise<CompareReport> {
  const report = summarize(await readComparison(out));
  await writeFileAtomic(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  await writeFileAtomic(join(out, 'report.md'), renderMarkdown(report));
  await writeFileAtomic(join(out, 'index.html'), await renderHtml(report));
  return report;
}

function union<T>(before: readonly T[] = [], now: readonly T[]): T[] {
  return [...new Set([...before, ...now])];
}

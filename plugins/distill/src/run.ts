/** A run: stages one after the other in a run folder, from a student to a checkpoint. */
import { readFile, rm } from 'node:fs/promises';
import { saveCheckpoint, type Weights } from 'kdx/checkpoint';
import { datasetHash, type EncodedExamples, type TaskData, type Tokenizer } from 'kdx/data';
import { internal } from 'kdx/errors';
import { fileExists, sha256, writeFileAtomic } from 'kdx/files';
import { parameterCount } from 'kdx/nn';
import { createRunFolder, kdxVersions, type JsonObject, type RunFolder } from 'kdx/recipe';
import type { Corpus } from './corpus.ts';
import { tokenCounts, type MaskingVocabulary } from './masking.ts';
import { methodNamed } from './methods/index.ts';
import { precisionNotes } from './precision.ts';
import { ptpLabels, ptpThresholds } from './ptp.ts';
import { distillSchema, finetuneSchema, withDefaults, type StageRecipe, type TrainRecipe } from './recipe/schema.ts';
import {
  activeLosses,
  runStage,
  shapesOf,
  stageHead,
  stageParameters,
  type StageData,
  type StageResult,
  type Surroundings,
} from './stage.ts';
import { keepStage, takeStage } from './stage-store.ts';
import { cachedTaps, studentParameters } from './step-models.ts';
import { headNames, type Student } from './student.ts';
import { taskTokens, type Split, type TaskTokens } from './task-tokens.ts';
import { teacherRows, type CachedTap, type TeacherRows } from './teacher-cache.ts';
import { meanLogits, ownTokens, type TeacherModel } from './teacher.ts';

export interface StagedRun extends Surroundings {
  readonly command: 'finetune' | 'distill';
  readonly out: string;
  readonly resume: boolean;
  /** Everything resolved, for run.json. */
  readonly recipe: JsonObject;
  readonly train: TrainRecipe;
  readonly stages: readonly StageRecipe[];
  readonly student: Student;
  readonly teachers: readonly TeacherModel[];
  readonly tokenizer: Tokenizer;
  /** Folder of the tokenizer files that the result gets. */
  readonly tokenizerFrom: string;
  /** Needed by stages on the task. */
  readonly data?: TaskData;
  /** Needed by stages on a corpus. */
  readonly corpus?: Corpus;
  /** Hashes of what else the run depends on. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Folder of finished stages that are taken from there, and left there, instead of being trained by several runs. */
  readonly stageStore?: string;
}

export interface TrainingResult {
  readonly out: string;
  readonly task: string;
  readonly steps: number;
  readonly bestStep: number;
  /** Metric that chose the best step; empty where nothing was measured. */
  readonly primary: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly parameters: number;
  /** Of training, over all starts of the run. */
  readonly seconds: number;
  /** Work of the processors in that time, all threads of the process; absent unless all of it was on a CPU. */
  readonly cpuSeconds?: number;
  readonly device: string;
  readonly stages: readonly StageResult[];
  /** Whether everything asked of the teacher before the steps was in the cache; absent when nothing was. */
  readonly teacherCached?: boolean;
}

const recipeSchemas = { finetune: finetuneSchema, distill: distillSchema };

/** The options of a stage's training: the recipe's, with what the stage has of its own, and a seed for each stage. */
export function stageTrain(train: TrainRecipe, stage: StageRecipe, index: number): TrainRecipe {
  const own = Object.fromEntries(Object.entries(stage.train).filter(([, value]) => value !== undefined));
  return { ...train, ...own, seed: (train.seed + index * 0x9e3779b1) % (Number.MAX_SAFE_INTEGER + 1) };
}

/**
 * Trains to the end, or goes on with an interrupted run. A run that is complete is not run again.
 * @throws KdxError of the run folder; `loss-not-finite`, `disk-full`
 */
export async function runStages(job: StagedRun): Promise<TrainingResult> {
  const { data, corpus, tokenizer, progress } = job;
  const folder = await createRunFolder(job.out, {
    command: job.command,
    recipe: job.recipe,
    inputs: {
      ...job.inputs,
      tokenizer: tokenizer.hash,
      ...(data && { train: datasetHash(data.train), dev: datasetHash(data.dev) }),
      ...(corpus && { corpus: corpus.hash }),
    },
    seed: job.train.seed,
    device: job.engine.device.description,
    resume: job.resume,
    withDefaults: (recipe) => withDefaults(recipeSchemas[job.command], recipe),
  });
  try {
    const notes = precisionNotes(job.train.precision, job.engine.device.kind);
    const foreign = job.teachers.filter((teacher) => ownTokens(teacher, tokenizer));
    notes.push(
      ...foreign.map(({ ref }) => `${ref} has another tokenizer than the student, and reads the texts with it`),
    );
    for (const warning of [...(data?.warnings ?? []), ...folder.warnings, ...notes])
      progress.message(`note: ${warning}`);
    const resultFile = folder.file('result.json');
    const isComplete = await fileExists(resultFile);
    if (isComplete) progress.message(`${job.out} is complete already`);
    const result = isComplete
      ? { ...(JSON.parse(await readFile(resultFile, 'utf8')) as TrainingResult), out: job.out }
      : await runIn(folder, job);
    if (!isComplete) await writeFileAtomic(resultFile, `${JSON.stringify(result, null, 2)}\n`);
    for (const { name } of job.stages)
      for (const kind of ['state.', 'best.', '']) await rm(folder.file(`${name}.${kind}safetensors`), { force: true });
    return result;
  } catch (error) {
    await folder.discard();
    throw error;
  } finally {
    await folder.close();
  }
}

async function runIn(folder: RunFolder, job: StagedRun): Promise<TrainingResult> {
  const { data, corpus, student, train, stages, teachers, progress } = job;
  const tokensOf = data && taskTokens(data, train.maxLength);
  const results: StageResult[] = [];
  let weights = student.weights;
  let allCached: boolean | undefined;
  for (const [index, recipe] of stages.entries()) {
    const isLast = index === stages.length - 1;
    const ofStage = stageTrain(train, recipe, index);
    const store = isLast ? undefined : job.stageStore;
    const key = stagesKey(folder, job, index + 1);
    if (store !== undefined && (await takeStage(store, key, folder, recipe.name)))
      progress.message(`${recipe.name}: taken from another method, which begins with the same training`);
    const { stageData, cached } = await prepareStage(job, recipe, tokensOf, corpus);
    if (cached !== undefined) allCached = cached && (allCached ?? true);
    const done = await runStage({
      ...job,
      recipe,
      train: ofStage,
      config: student.config,
      weights: recipe.ptp ? withoutHead(weights) : weights,
      teachers,
      data: stageData,
      folder,
      stepsBefore: results.reduce((sum, { steps }) => sum + steps, 0),
      ...(isLast && { keep: (kept: Weights) => saveResult(job, recipe, kept) }),
    });
    if (store !== undefined) await keepStage(store, key, folder, recipe.name);
    results.push(done.result);
    weights = new Map([...weights, ...done.weights]);
    if (recipe.ptp) weights = withoutHead(weights);
  }
  const last = results.at(-1) as StageResult;
  const recipe = stages.at(-1) as StageRecipe;
  const cpuSeconds = results.reduce((sum, stage) => sum + (stage.cpuSeconds ?? NaN), 0);
  return {
    out: job.out,
    task: data?.task.name ?? 'corpus',
    steps: results.reduce((sum, { steps }) => sum + steps, 0),
    bestStep: results.slice(0, -1).reduce((sum, { steps }) => sum + steps, last.bestStep),
    primary: recipe.keep === 'best' && data ? data.task.primary : '',
    metrics: last.metrics,
    parameters: parameterCount(studentParameters(student.config, stageHead(recipe, student.config.labels.length))),
    seconds: results.reduce((sum, { seconds }) => sum + seconds, 0),
    ...(Number.isFinite(cpuSeconds) && { cpuSeconds }),
    device: job.engine.device.description,
    stages: results,
    ...(allCached !== undefined && { teacherCached: allCached }),
  };
}

/** Of what decides the bits of the parameters after the first `count` stages. */
function stagesKey({ record: { inputs } }: RunFolder, { student, stages, train, engine }: StagedRun, count: number) {
  return sha256(
    JSON.stringify({
      inputs,
      config: student.config,
      stages: stages.slice(0, count).map((recipe, i) => ({ ...recipe, train: stageTrain(train, recipe, i) })),
      device: engine.device.description,
      versions: kdxVersions(),
    }),
  );
}

function withoutHead(weights: Weights): Weights {
  const head = new Set(headNames(weights));
  return new Map([...weights].filter(([name]) => !head.has(name)));
}

/** What the last stage leaves: a classifier, a masked language model or an encoder, as Transformers has them. */
async function saveResult({ out, student, tokenizerFrom, teachers }: StagedRun, recipe: StageRecipe, weights: Weights) {
  const { config } = student;
  const head = stageHead(recipe, config.labels.length);
  const kind = head === 'masked-lm' ? 'masked-lm' : head === 'none' ? 'encoder' : 'classifier';
  const shapes = shapesOf(config, teachers);
  const own = new Set(studentParameters(config, head).map(({ name }) => name));
  const methods = stageParameters(recipe, shapes).filter(({ name }) => !own.has(name));
  // Projections of a general student go on to its task; those of a classifier have done their work.
  const extra = new Map(
    kind === 'classifier' ? [] : methods.flatMap(({ name }) => (weights.has(name) ? [[name, weights.get(name)!]] : [])),
  );
  await saveCheckpoint(out, {
    config,
    kind,
    weights: new Map([...weights].filter(([name]) => own.has(name))),
    extra,
    tokenizerFrom,
  });
}

/** Data of a stage, with what the teachers say of it as far as that repeats. */
async function prepareStage(
  job: StagedRun,
  recipe: StageRecipe,
  tokensOf: TaskTokens | undefined,
  corpus: Corpus | undefined,
): Promise<{ readonly stageData: StageData; readonly cached: boolean | undefined }> {
  const { teachers, tokenizer, student, data, progress } = job;
  const examples = recipe.data === 'corpus' ? corpus?.examples : tokensOf?.(tokenizer, 'train');
  if (!examples) throw internal(`stage ${recipe.name} has no ${recipe.data} to train on`);
  const shapes = shapesOf(student.config, teachers);
  const taps = new Set(
    activeLosses(recipe).flatMap((loss) => cachedTaps(methodNamed(loss.method).taps(loss as never, shapes))),
  );
  const ask = async (of: 'corpus' | Split, wanted: readonly CachedTap[]) => {
    const rows: TeacherRows[] = [];
    for (const teacher of teachers) {
      const read = of === 'corpus' ? corpus?.examples : tokensOf?.(teacher.tokenizer, of);
      rows.push(
        await teacherRows(teacher, read as EncodedExamples, wanted, { ...job, maxLength: job.train.maxLength }),
      );
    }
    return rows;
  };
  const rows = taps.size > 0 ? await ask(recipe.data === 'corpus' ? 'corpus' : 'train', [...taps]) : [];
  const predictsTokens = activeLosses(recipe).some(({ method }) => methodNamed(method).predictsTokens);
  const stageData: StageData = {
    train: examples,
    ...(recipe.data === 'task' &&
      tokensOf &&
      data && { dev: { task: data.task, examples: tokensOf(tokenizer, 'dev') } }),
    teacherRows: rows,
    vocabulary: maskingVocabulary(tokenizer, student.config.vocabSize, predictsTokens ? examples : undefined),
  };
  let cached = rows.length > 0 ? rows.every((found) => found.cached) : undefined;
  if (!recipe.ptp || !tokensOf || !data) return { stageData, cached };
  const encoded = { train: tokensOf(tokenizer, 'train'), dev: tokensOf(tokenizer, 'dev') };

  const [ofTrain, ofDev] = [await ask('train', ['logits']), await ask('dev', ['logits'])];
  cached = [...rows, ...ofTrain, ...ofDev].every((found) => found.cached);
  const train = ptpLabels(meanLogits(ofTrain), encoded.train.labels, ptpThresholds(data.task, recipe.ptp));
  const dev = ptpLabels(meanLogits(ofDev), encoded.dev.labels, train.thresholds);
  const [cc, uc, cw, uw] = train.counts;
  const { correct, wrong } = train.thresholds;
  progress.message(
    `the teacher on the training examples: ${cc} confidently correct, ${uc} unconfidently correct, ${cw} confidently wrong, ${uw} unconfidently wrong (thresholds ${correct.toFixed(4)} and ${wrong.toFixed(4)})`,
  );
  for (const note of train.notes) progress.message(`note: ${note}`);
  return {
    stageData: {
      ...stageData,
      train: { ...encoded.train, labels: train.labels },
      dev: { task: data.task, examples: { ...encoded.dev, labels: dev.labels } },
    },
    cached,
  };
}

function maskingVocabulary(
  tokenizer: Tokenizer,
  size: number,
  examples: EncodedExamples | undefined,
): MaskingVocabulary {
  const { padId, unkId, clsId, sepId, maskId } = tokenizer;
  return {
    size,
    maskId: maskId ?? unkId,
    specialIds: [padId, unkId, clsId, sepId, ...(maskId === undefined ? [] : [maskId])],
    ...(examples && { counts: tokenCounts(examples, size) }),
  };
}

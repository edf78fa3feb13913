/** One stage of a run: what is trained towards what, and the training itself. */
import { rename } from 'node:fs/promises';
import { readSafetensors, writeSafetensors, type BertConfig, type Weights } from 'kdx/checkpoint';
import { classifierModel, computeLogits } from 'kdx/classifier';
import { randomStream, scoreTask, type EncodedExamples, type Task } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { fileExists } from 'kdx/files';
import type { Tensor } from 'kdx/graph';
import { classifierParameters, toCheckpoint, type Parameter } from 'kdx/nn';
import type { Value } from 'kdx/ops';
import type { Progress } from 'kdx/progress';
import type { RunFolder } from 'kdx/recipe';
import {
  removeState,
  stepCount,
  train,
  type FedBatch,
  type Objective,
  type StepContext,
  type TrainingState,
  type TrainOptions,
} from 'kdx/train';
import { answers, negativeLogLikelihood } from './compare/fidelity.ts';
import type { MaskingVocabulary } from './masking.ts';
import { methodNamed } from './methods/index.ts';
import type { DrawnBatch, MethodContext, Shapes } from './methods/method.ts';
import { ptpLabelNames } from './ptp.ts';
import type { LossRecipe, StageRecipe, TrainRecipe } from './recipe/schema.ts';
import { roundedParameter } from './rounding.ts';
import { frozenParameters, isInStep, stepModel, stepTeacher, studentParameters, tapInput } from './step-models.ts';
import { initialize } from './student.ts';
import type { TeacherRows } from './teacher-cache.ts';
import type { TeacherModel } from './teacher.ts';

export interface Surroundings {
  readonly engine: Engine;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What a stage trains on. */
export interface StageData {
  readonly train: EncodedExamples;
  /** Absent for a corpus. */
  readonly dev?: { readonly task: Task; readonly examples: EncodedExamples };
  /** Rows of each teacher for the training examples. */
  readonly teacherRows: readonly TeacherRows[];
  readonly vocabulary: MaskingVocabulary;
}

export interface StageJob extends Surroundings {
  readonly recipe: StageRecipe;
  readonly train: TrainRecipe;
  readonly config: BertConfig;
  /** Where the stage begins, in checkpoint layout; what is missing is drawn from the seed. */
  readonly weights: Weights;
  readonly teachers: readonly TeacherModel[];
  readonly data: StageData;
  readonly folder: RunFolder;
  /** Steps of the stages before. */
  readonly stepsBefore: number;
  /** Keeps the best parameters of the last stage as the result of the run, in checkpoint layout. */
  readonly keep?: (weights: Weights) => Promise<void>;
}

export interface StageResult {
  readonly name: string;
  readonly steps: number;
  /** Those of them that were left out because gradients overflowed float16; absent with float32. */
  readonly skipped?: number;
  readonly seconds: number;
  /** Work of the processors in that time, all threads of the process; absent unless all of it was on a CPU. */
  readonly cpuSeconds?: number;
  /** Examples seen, all epochs. */
  readonly examples: number;
  /** Step within the stage at which the kept parameters were reached. */
  readonly bestStep: number;
  /** Of the kept parameters; empty where nothing was measured. */
  readonly metrics: Readonly<Record<string, number>>;
}

export function trainOptions(recipe: TrainRecipe, keep: StageRecipe['keep'] = 'best'): TrainOptions {
  const { betas, ...train } = recipe;
  return {
    epochs: train.epochs,
    batch: train.batch,
    accumulate: train.accumulate,
    learningRate: train.lr,
    schedule: { name: train.schedule, warmup: train.warmup },
    adamw: { beta1: betas[0], beta2: betas[1], epsilon: train.eps, weightDecay: train.weightDecay },
    clipNorm: train.clipNorm,
    maxLength: train.maxLength,
    seed: train.seed,
    evaluate: keep === 'last' ? 'none' : train.evaluate,
    saveEvery: train.saveEvery,
    recompute: train.recompute,
    precision: train.precision,
  };
}

/** Losses that count. */
export function activeLosses({ losses }: Pick<StageRecipe, 'losses'>): readonly LossRecipe[] {
  return losses.filter(({ weight }) => weight > 0);
}

/** The head that the student has in a stage. */
export function stageHead(recipe: StageRecipe, labels: number): { readonly labels: number } | 'masked-lm' | 'none' {
  if (recipe.ptp) return { labels: ptpLabelNames.length };
  if (recipe.data === 'task') return { labels };
  return activeLosses(recipe).some(({ method }) => methodNamed(method).predictsTokens) ? 'masked-lm' : 'none';
}

/** What a loss may depend on before there is a graph. */
export function shapesOf(student: BertConfig, teachers: readonly TeacherModel[]): Shapes {
  return { student, teacher: teachers[0]?.config, regression: student.problemType === 'regression' };
}

/** Parameters of a stage: the student's, and those of its methods. */
export function stageParameters(recipe: StageRecipe, shapes: Shapes): Parameter[] {
  const { labels } = shapes.student;
  return [
    ...studentParameters(shapes.student, stageHead(recipe, labels.length)),
    ...activeLosses(recipe).flatMap((loss) => methodNamed(loss.method).parameters?.(loss as never, shapes) ?? []),
  ];
}

/** The loss of a stage, as the trainer asks for it. */
export function stageObjective(
  recipe: StageRecipe,
  shapes: Shapes,
  teachers: readonly TeacherModel[],
  { dropout = {}, frozen = 'nothing' }: Partial<Pick<TrainRecipe, 'dropout' | 'frozen'>> = {},
): Objective {
  const config = withDropout(shapes.student, dropout);
  return {
    parameters: stageParameters(recipe, shapes),
    regression: shapes.regression,
    ...(frozen === 'embeddings' && { frozen: ({ kind }: Parameter) => kind === 'embedding' }),
    ...(recipe.quantize && { inPlaceOf: roundedParameter(recipe.quantize) }),
    loss(step: StepContext) {
      const { g } = step;
      let teacher: MethodContext['teacher'] | undefined;
      const context: MethodContext = {
        g,
        bucket: step.bucket,
        inputs: step.inputs,
        labels: step.labels,
        weights: step.weights,
        regression: shapes.regression,
        student: stepModel(g, config, step.parameter, step.inputs, step.dropout),
        get teacher() {
          return (teacher ??= stepTeacher(step, teachers));
        },
        parameter: step.parameter,
        input: step.input,
      };
      const metrics: Record<string, Value> = {};
      const terms = activeLosses(recipe).map((loss) => {
        const built = g.scope(loss.method, () => methodNamed(loss.method).loss(context, loss as never));
        metrics[`${loss.method}_loss`] = built.loss;
        for (const [name, value] of Object.entries(built.metrics)) metrics[`${loss.method}_${name}`] = value;
        return loss.weight === 1 ? built.loss : g.scale(built.loss, loss.weight);
      });
      return { loss: terms.reduce((sum, next) => g.add(sum, next)), metrics };
    },
  };
}

/** The recipe's dropout in place of the model's own. */
function withDropout(config: BertConfig, dropout: TrainRecipe['dropout']): BertConfig {
  return {
    ...config,
    hiddenDropout: dropout.hidden ?? config.hiddenDropout,
    attentionDropout: dropout.attention ?? config.attentionDropout,
    classifierDropout: dropout.classifier ?? config.classifierDropout,
  };
}

/** Rows of the teachers and what methods draw, for a batch. */
function stageFeeds({ recipe, train: { seed }, data }: StageJob, shapes: Shapes) {
  const drawing = activeLosses(recipe).filter(({ method }) => methodNamed(method).draws);
  return ({ rows, examples, bucket, tensors, position }: FedBatch): Record<string, Tensor> => {
    const batch: DrawnBatch = {
      bucket,
      examples,
      inputIds: tensors.input_ids,
      attentionMask: tensors.attention_mask,
      vocabulary: data.vocabulary,
      random: (name) => randomStream(seed, name, ...position),
    };
    const feeds: Record<string, Tensor> = {};
    data.teacherRows.forEach((cache, i) => {
      for (const [tap, matrix] of cache.rows) feeds[tapInput(i, tap)] = pickRows(matrix, rows);
    });
    for (const loss of drawing) Object.assign(feeds, methodNamed(loss.method).draws?.(loss as never, batch, shapes));
    return feeds;
  };
}

/** Rows of a matrix, in order. */
function pickRows(matrix: Tensor<'float32'>, rows: readonly number[]): Tensor<'float32'> {
  const width = matrix.dims[1] as number;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, i) => data.set(matrix.data.subarray(row * width, (row + 1) * width), i * width));
  return { dtype: 'float32', dims: [rows.length, width], data };
}

/**
 * Trains a stage, or goes on with it, or finds it done. The state of an unfinished stage is in the run folder; what it
 * leaves is there too, except for the last stage, which hands it to `keep`.
 */
export async function runStage(job: StageJob): Promise<{ readonly weights: Weights; readonly result: StageResult }> {
  const { recipe, folder, config, data, engine, progress, signal } = job;
  const resultPath = stageFile(folder, recipe.name);
  if (await fileExists(resultPath)) return readStage(resultPath);

  const shapes = shapesOf(config, job.teachers);
  const objective = stageObjective(recipe, shapes, job.teachers, job.train);
  const inStep = activeLosses(recipe).some((loss) => isInStep(methodNamed(loss.method).taps(loss as never, shapes)));
  const bestPath = folder.file(`${recipe.name}.best.safetensors`);
  const statePath = folder.file(`${recipe.name}.state.safetensors`);
  const options = trainOptions(job.train, recipe.keep);
  const evaluation = await openEvaluation(job);
  try {
    const { steps, skipped, seconds, cpuSeconds, best } = await train({
      engine,
      objective,
      initial: initialize(objective.parameters, job.weights, config, job.train.seed),
      ...(inStep && { frozen: frozenParameters(job.teachers[0] as TeacherModel) }),
      examples: data.train,
      options,
      extraFeeds: stageFeeds(job, shapes),
      evaluate: evaluation.evaluate,
      primary: evaluation.primary,
      better: evaluation.better,
      label: recipe.name,
      saveBest: async (values) => {
        const weights = new Map(
          objective.parameters.map((p) => [p.name, toCheckpoint(p, values.get(p.name) as Tensor<'float32'>)]),
        );
        await (job.keep?.(weights) ?? writeSafetensors(bestPath, weights));
      },
      statePath,
      metrics: async (step) => {
        const log = await folder.metrics(job.stepsBefore + step);
        return {
          append: (entry) => log.append({ ...entry, step: job.stepsBefore + entry.step, stage: recipe.name }),
        };
      },
      progress,
      signal,
    });
    const result: StageResult = {
      name: recipe.name,
      steps,
      ...(skipped !== undefined && { skipped }),
      seconds,
      ...(cpuSeconds !== undefined && { cpuSeconds }),
      examples: data.train.count * options.epochs,
      bestStep: best.step,
      metrics: best.metrics,
    };
    if (job.keep) return { weights: new Map(), result };
    const { tensors } = await readSafetensors(bestPath);
    await writeSafetensors(bestPath, tensors, { stage: JSON.stringify(result) });
    await rename(bestPath, resultPath);
    await removeState(statePath);
    return { weights: tensors as Weights, result };
  } finally {
    await evaluation.release();
  }
}

/** Steps of a stage. */
export function stageSteps(recipe: StageRecipe, train: TrainRecipe, examples: number): number {
  return stepCount(trainOptions(train, recipe.keep), examples).total;
}

/** What a finished stage leaves for the next. */
export function stageFile(folder: RunFolder, name: string): string {
  return folder.file(`${name}.safetensors`);
}

async function readStage(path: string): Promise<{ readonly weights: Weights; readonly result: StageResult }> {
  const { tensors, metadata } = await readSafetensors(path);
  return { weights: tensors as Weights, result: JSON.parse(metadata['stage'] as string) as StageResult };
}

interface StageEvaluation {
  readonly evaluate: (state: TrainingState) => Promise<Readonly<Record<string, number>>>;
  readonly primary: string;
  readonly better: 'higher' | 'lower';
  release(): Promise<void>;
}

/** How good the parameters are on the development examples: by the task's metric, or by the loss on PTP's labels. */
async function openEvaluation({
  recipe,
  train,
  config,
  data,
  engine,
  progress,
  signal,
}: StageJob): Promise<StageEvaluation> {
  const { dev } = data;
  if (!dev || recipe.keep === 'last')
    return { evaluate: async () => ({}), primary: '', better: 'higher', release: async () => undefined };
  const labels = recipe.ptp ? ptpLabelNames.length : config.labels.length;
  const names = classifierParameters(config, labels).map(({ name }) => name);
  const session = await engine.createSession(
    classifierModel(config, labels, 'inputs', recipe.quantize && roundedParameter(recipe.quantize)),
    { name: 'evaluation' },
  );
  const evaluate = async (state: TrainingState) => {
    const run = async (inputs: Readonly<Record<string, Tensor>>) => {
      const used = Object.fromEntries(session.inputs.flatMap((name) => (inputs[name] ? [[name, inputs[name]]] : [])));
      const feeds = { ...used, ...state.select(names) };
      return (await session.run({ feeds, fetch: ['logits'] }))['logits'] as Tensor;
    };
    const { maxLength } = train;
    const logits = await computeLogits(run, dev.examples, { labels, maxLength, progress, signal });
    const gold = dev.examples.labels;
    if (!recipe.ptp) return scoreTask(dev.task, logits.data, gold).metrics;
    const rows = Array.from({ length: gold.length }, (_, i) => [...logits.data.subarray(i * labels, (i + 1) * labels)]);
    const right = answers(rows).filter((answer, i) => answer === gold[i]).length;
    return { loss: negativeLogLikelihood(rows, [...gold]), accuracy: right / gold.length };
  };
  const best = recipe.ptp
    ? ({ primary: 'loss', better: 'lower' } as const)
    : ({ primary: dev.task.primary, better: 'higher' } as const);
  return { evaluate, ...best, release: () => session.release() };
}

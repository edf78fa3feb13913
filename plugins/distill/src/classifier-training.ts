/** Training a classifier into a run folder: what finetune and distill have in common. */
import { readFile } from 'node:fs/promises';
import { saveCheckpoint, type BertConfig } from 'kdx/checkpoint';
import { checkLength, checkVocabulary, classifierModel, computeLogits, type RunBatch } from 'kdx/classifier';
import { datasetHash, encodeExamples, scoreTask, type EncodedExamples, type TaskData, type Tokenizer } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { fileExists, writeFileAtomic } from 'kdx/files';
import type { Tensor } from 'kdx/graph';
import { bertClassifier, classifierParameters, parameterCount, toCheckpoint, type ClassifierOutputs } from 'kdx/nn';
import type { Progress } from 'kdx/progress';
import { createRunFolder, type JsonObject, type RunFolder, type TrainRecipe } from 'kdx/recipe';
import { train, type StepContext, type TrainOptions, type TrainingState } from 'kdx/train';
import type { Loss } from './methods/method.ts';
import type { Student } from './student.ts';

export interface Surroundings {
  readonly engine: Engine;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface ClassifierTraining extends Surroundings {
  readonly command: 'finetune' | 'distill';
  readonly out: string;
  readonly resume: boolean;
  /** Everything resolved, for run.json. */
  readonly recipe: JsonObject;
  readonly train: TrainRecipe;
  readonly data: TaskData;
  /** Hashes of what else the run depends on. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly student: Student;
  readonly tokenizer: Tokenizer;
  /** Folder of the tokenizer files that the result gets. */
  readonly tokenizerFrom: string;
  /** Called once the run folder is ours and before the first step. */
  readonly prepare?: (examples: EncodedExamples) => Promise<Targets>;
  readonly loss: (context: StepContext, student: ClassifierOutputs) => Loss;
}

/** What a method needs for each batch beside its examples. */
export interface Targets {
  readonly feeds: (rows: readonly number[]) => Readonly<Record<string, Tensor>>;
}

export interface TrainingResult {
  readonly out: string;
  readonly task: string;
  readonly steps: number;
  readonly bestStep: number;
  readonly primary: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly parameters: number;
  readonly seconds: number;
  readonly device: string;
}

export function trainOptions(recipe: TrainRecipe): TrainOptions {
  const { betas, ...train } = recipe;
  return {
    epochs: train.epochs,
    batch: train.batch,
    accumulate: train.accumulate,
    learningRate: train.lr,
    schedule: { name: 'linear', warmup: train.warmup },
    adamw: { beta1: betas[0], beta2: betas[1], epsilon: train.eps, weightDecay: train.weightDecay },
    clipNorm: train.clipNorm,
    maxLength: train.maxLength,
    seed: train.seed,
    evaluate: train.evaluate,
    saveEvery: train.saveEvery,
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

/**
 * Trains to the end, or goes on with an interrupted run. A run that is complete is not run again.
 * @throws KdxError of the run folder; `sequence-too-long`, `vocabulary-mismatch`, `loss-not-finite`, `disk-full`
 */
export async function trainClassifier(job: ClassifierTraining): Promise<TrainingResult> {
  const { data, tokenizer, progress } = job;
  checkLength(job.train.maxLength, job.student.config);
  checkVocabulary(tokenizer, job.student.config, job.tokenizerFrom);
  const encoded = {
    train: encodeExamples(tokenizer, data.train, job.train.maxLength),
    dev: encodeExamples(tokenizer, data.dev, job.train.maxLength),
  };
  const folder = await createRunFolder(job.out, {
    command: job.command,
    recipe: job.recipe,
    inputs: { ...job.inputs, tokenizer: tokenizer.hash, train: datasetHash(data.train), dev: datasetHash(data.dev) },
    seed: job.train.seed,
    device: job.engine.device.description,
    resume: job.resume,
  });
  try {
    for (const warning of [...data.warnings, ...folder.warnings]) progress.message(`note: ${warning}`);
    const resultFile = folder.file('result.json');
    if (await fileExists(resultFile)) {
      progress.message(`${job.out} is complete already`);
      return { ...(JSON.parse(await readFile(resultFile, 'utf8')) as TrainingResult), out: job.out };
    }
    const result = await trainIn(folder, job, encoded);
    await writeFileAtomic(resultFile, `${JSON.stringify(result, null, 2)}\n`);
    return result;
  } catch (error) {
    await folder.discard();
    throw error;
  } finally {
    await folder.close();
  }
}

async function trainIn(
  folder: RunFolder,
  job: ClassifierTraining,
  encoded: { readonly train: EncodedExamples; readonly dev: EncodedExamples },
): Promise<TrainingResult> {
  const { student, data, engine, progress, signal } = job;
  const { config } = student;
  const { maxLength } = job.train;
  const started = Date.now();
  const targets = await job.prepare?.(encoded.train);
  const parameters = classifierParameters(config, config.labels.length);
  const architecture = withDropout(config, job.train.dropout);
  const session = await engine.createSession(classifierModel(config, config.labels.length, 'inputs'), {
    name: 'evaluation',
  });
  const runWith =
    (state: TrainingState): RunBatch =>
    async (inputs) => {
      const feeds = { ...inputs, ...state.select(parameters.map(({ name }) => name)) };
      return (await session.run({ feeds, fetch: ['logits'] }))['logits'] as Tensor;
    };
  try {
    const { steps, best } = await train({
      engine,
      objective: {
        parameters,
        regression: config.problemType === 'regression',
        loss: (context) =>
          job.loss(
            context,
            bertClassifier(context.g, architecture, context.parameter, context.inputs, context.dropout),
          ),
      },
      initial: student.parameters,
      examples: encoded.train,
      options: trainOptions(job.train),
      ...(targets && { extraFeeds: targets.feeds }),
      evaluate: async (state) => {
        const labels = config.labels.length;
        const logits = await computeLogits(runWith(state), encoded.dev, { labels, maxLength, progress, signal });
        return scoreTask(data.task, logits.data, encoded.dev.labels).metrics;
      },
      primary: data.task.primary,
      saveBest: (values) =>
        saveCheckpoint(job.out, {
          config,
          weights: new Map(parameters.map((p) => [p.name, toCheckpoint(p, values.get(p.name) as Tensor<'float32'>)])),
          tokenizerFrom: job.tokenizerFrom,
        }),
      statePath: folder.file('state.safetensors'),
      metrics: (step) => folder.metrics(step),
      progress,
      signal,
    });
    return {
      out: job.out,
      task: data.task.name,
      steps,
      bestStep: best.step,
      primary: data.task.primary,
      metrics: best.metrics,
      parameters: parameterCount(parameters),
      seconds: (Date.now() - started) / 1000,
      device: engine.device.description,
    };
  } finally {
    await session.release();
  }
}

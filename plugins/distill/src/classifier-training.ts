/** Training a classifier into a run folder: what finetune and distill have in common. */
import { saveCheckpoint, type BertConfig } from 'kdx/checkpoint';
import { checkVocabulary, classifierModel, computeLogits, type RunBatch } from 'kdx/classifier';
import { datasetHash, encodeExamples, scoreTask, type EncodedExamples, type TaskData, type Tokenizer } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';
import { bertClassifier, classifierParameters, parameterCount, toCheckpoint, type ClassifierOutputs } from 'kdx/nn';
import type { Progress } from 'kdx/progress';
import { createRunFolder, type JsonObject, type TrainRecipe } from 'kdx/recipe';
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

/** @throws KdxError of the run folder; `sequence-too-long`, `vocabulary-mismatch`, `loss-not-finite`, `disk-full` */
export async function trainClassifier(job: ClassifierTraining): Promise<TrainingResult> {
  const { student, data, engine, progress, signal, tokenizer } = job;
  const { config } = student;
  const started = Date.now();
  checkLength(job.train.maxLength, config);
  checkVocabulary(tokenizer, config, job.tokenizerFrom);
  const folder = await createRunFolder(job.out, {
    command: job.command,
    recipe: job.recipe,
    inputs: { ...job.inputs, tokenizer: tokenizer.hash, train: datasetHash(data.train), dev: datasetHash(data.dev) },
    seed: job.train.seed,
    device: engine.device.description,
    resume: job.resume,
  });
  try {
    for (const warning of [...data.warnings, ...folder.warnings]) progress.message(`note: ${warning}`);
    const examples = encodeExamples(tokenizer, data.train, job.train.maxLength);
    const devExamples = encodeExamples(tokenizer, data.dev, job.train.maxLength);
    const targets = await job.prepare?.(examples);
    const parameters = classifierParameters(config, config.labels.length);
    const evaluator = await Evaluator.open(engine, config);
    const architecture = withDropout(config, job.train.dropout);
    try {
      const result = await train({
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
        examples,
        options: trainOptions(job.train),
        ...(targets && { extraFeeds: targets.feeds }),
        evaluate: async (state) => {
          const run = evaluator.runner(state);
          const logits = await computeLogits(run, devExamples, {
            labels: config.labels.length,
            maxLength: job.train.maxLength,
            progress,
            signal,
          });
          return scoreTask(data.task, logits.data, devExamples.labels).metrics;
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
        steps: result.steps,
        bestStep: result.best.step,
        primary: data.task.primary,
        metrics: result.best.metrics,
        parameters: parameterCount(parameters),
        seconds: (Date.now() - started) / 1000,
        device: engine.device.description,
      };
    } finally {
      await evaluator.release();
    }
  } finally {
    await folder.close();
  }
}

function checkLength(maxLength: number, config: BertConfig): void {
  if (maxLength > config.maxPositions)
    throw new KdxError(
      'sequence-too-long',
      `sequences of up to ${maxLength} tokens do not fit a model with ${config.maxPositions} positions`,
      { suggestions: [`--max-length ${config.maxPositions}`] },
    );
}

/** Runs the current parameters of a training on unseen examples, without copying them. */
class Evaluator {
  readonly #session: Awaited<ReturnType<Engine['createSession']>>;
  readonly #parameters: readonly string[];

  private constructor(session: Awaited<ReturnType<Engine['createSession']>>, parameters: readonly string[]) {
    this.#session = session;
    this.#parameters = parameters;
  }

  static async open(engine: Engine, config: BertConfig): Promise<Evaluator> {
    const labels = config.labels.length;
    const session = await engine.createSession(classifierModel(config, labels, 'inputs'), { name: 'evaluation' });
    return new Evaluator(
      session,
      classifierParameters(config, labels).map(({ name }) => name),
    );
  }

  runner(state: TrainingState): RunBatch {
    return async (inputs) => {
      const feeds = { ...inputs, ...state.select(this.#parameters) };
      const { logits } = await this.#session.run({ feeds, fetch: ['logits'] });
      return logits as Tensor;
    };
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

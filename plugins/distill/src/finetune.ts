/** Finetuning: a pretrained encoder, or random weights, trained on labels alone. */
import { dirname } from 'node:path';
import { loadCheckpoint, readConfig } from 'kdx/checkpoint';
import { loadTokenizer, type TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { sha256 } from 'kdx/files';
import { crossEntropy, squaredError } from 'kdx/nn';
import type { JsonObject, TrainRecipe } from 'kdx/recipe';
import { trainClassifier, type Surroundings, type TrainingResult } from './classifier-training.ts';
import { initialize, studentFromCheckpoint, withLabels, type Student } from './student.ts';
import { weightsHash } from './teacher-logits.ts';

export interface FinetuneOptions extends Surroundings {
  /** Checkpoint folder or hub id. */
  readonly model?: string;
  /** A config.json (tokenizer files beside it) to start from random weights. */
  readonly config?: string;
  readonly data: TaskData;
  readonly out: string;
  readonly train: TrainRecipe;
  readonly resume: boolean;
}

/** Trains and leaves a checkpoint folder. @throws KdxError of loading and training */
export async function finetune(options: FinetuneOptions): Promise<TrainingResult> {
  const { data, train } = options;
  const { student, dir, hash } = await startingPoint(options);
  const regression = data.task.kind === 'regression';
  return trainClassifier({
    ...options,
    command: 'finetune',
    recipe: { train } as unknown as JsonObject,
    inputs: { model: hash },
    student,
    tokenizer: await loadTokenizer(dir),
    tokenizerFrom: dir,
    loss: ({ g, labels, weights }, { logits }) => ({
      loss: regression ? squaredError(g, logits, labels, weights) : crossEntropy(g, logits, labels, weights),
      metrics: {},
    }),
  });
}

async function startingPoint({
  model,
  config: configFile,
  data,
  train,
}: FinetuneOptions): Promise<{ student: Student; dir: string; hash: string }> {
  if ((model === undefined) === (configFile === undefined))
    throw new KdxError('invalid-usage', 'either --model or --config is needed', {
      suggestions: ['--model DIR to start from a pretrained encoder', '--config FILE to start from random weights'],
    });
  if (model !== undefined) {
    const checkpoint = await loadCheckpoint(model);
    const student = studentFromCheckpoint(checkpoint, data.task.labels, train.seed);
    return { student, dir: checkpoint.dir, hash: weightsHash(checkpoint.weights) };
  }
  const config = withLabels(await readConfig(configFile as string), data.task.labels);
  const parameters = initialize(config, new Map(), train.seed);
  return {
    student: { config, parameters, origin: 'random weights' },
    dir: dirname(configFile as string),
    hash: sha256(JSON.stringify(config.raw)),
  };
}

/** Finetuning: a classifier from a pretrained encoder and labelled examples, or a pretrained encoder from plain text. */
import { dirname } from 'node:path';
import { loadCheckpoint, readConfig } from 'kdx/checkpoint';
import { loadTokenizer, type TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { sha256 } from 'kdx/files';
import type { JsonObject } from 'kdx/recipe';
import { loadCorpus } from './corpus.ts';
import { preflightProblems } from './preflight.ts';
import { stageSchema, type StageRecipe, type TrainRecipe } from './recipe/schema.ts';
import { runStages, type TrainingResult } from './run.ts';
import type { Surroundings } from './stage.ts';
import { studentFromCheckpoint, withLabels, type Student } from './student.ts';
import { weightsHash } from './teacher.ts';

export interface FinetuneOptions extends Surroundings {
  /** Checkpoint folder or hub id. */
  readonly model?: string;
  /** A config.json (tokenizer files beside it) to start from random weights. */
  readonly config?: string;
  /** Labelled examples, to train a classifier. */
  readonly data?: TaskData;
  /** In place of them a file of plain text, to train a masked language model. */
  readonly corpus?: string;
  readonly out: string;
  readonly train: TrainRecipe;
  readonly resume: boolean;
}

/** Trains and leaves a checkpoint folder. @throws KdxError of loading and training */
export async function finetune(options: FinetuneOptions): Promise<TrainingResult> {
  const { corpus: path, ...run } = options;
  const { data, train } = run;
  const { student, dir, hash } = await startingPoint(options);
  const tokenizer = await loadTokenizer(dir);
  const corpus = path === undefined ? undefined : await loadCorpus(path, tokenizer, train.maxLength);
  const stages = [corpus ? pretraining : finetuning];
  const corpusSize = corpus?.examples.count;
  const [problem] = preflightProblems({ stages, train, student, tokenizer, teachers: [], data, corpusSize });
  if (problem) throw problem;
  return runStages({
    ...run,
    command: 'finetune',
    recipe: { train } as unknown as JsonObject,
    stages,
    inputs: { model: hash },
    student,
    teachers: [],
    tokenizer,
    tokenizerFrom: dir,
    ...(corpus && { corpus }),
  });
}

const finetuning: StageRecipe = stageSchema.parse({ name: 'finetuning', losses: [{ method: 'label' }] });
const pretraining: StageRecipe = stageSchema.parse({
  name: 'pretraining',
  data: 'corpus',
  losses: [{ method: 'mlm' }],
  keep: 'last',
});

async function startingPoint({
  model,
  config: configFile,
  data,
}: FinetuneOptions): Promise<{ student: Student; dir: string; hash: string }> {
  if ((model === undefined) === (configFile === undefined))
    throw new KdxError('invalid-usage', 'either --model or --config is needed', {
      suggestions: ['--model DIR to start from a pretrained encoder', '--config FILE to start from random weights'],
    });
  if (model !== undefined) {
    const checkpoint = await loadCheckpoint(model);
    const student = studentFromCheckpoint(checkpoint, data?.task);
    return { student, dir: checkpoint.dir, hash: weightsHash(checkpoint.weights) };
  }
  const read = await readConfig(configFile as string);
  return {
    student: {
      config: data ? withLabels(read, data.task.labels) : read,
      weights: new Map(),
      origin: 'random weights',
    },
    dir: dirname(configFile as string),
    hash: sha256(JSON.stringify(read.raw)),
  };
}

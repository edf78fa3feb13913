/** A training that takes part of a second: a BERT of one layer learns to see the first token. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { EncodedExamples } from '../../src/data/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { elementCount, tensorOf, type Tensor } from '../../src/graph/index.ts';
import {
  bertClassifier,
  classifierParameters,
  crossEntropy,
  initialValue,
  plainPlan,
  type BertArchitecture,
} from '../../src/nn/index.ts';
import type { Value } from '../../src/ops/index.ts';
import { silentProgress, type Progress } from '../../src/progress/index.ts';
import {
  buildStep,
  train,
  type FedBatch,
  type Objective,
  type Step,
  type StepContext,
  type TrainJob,
  type TrainOptions,
  type TrainResult,
} from '../../src/train/index.ts';
import { seeded } from '../support/seeded.ts';

const architecture: BertArchitecture = {
  vocabSize: 10,
  hiddenSize: 8,
  heads: 2,
  intermediateSize: 12,
  activation: 'gelu',
  maxPositions: 256,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  initializerRange: 0.2,
  hiddenDropout: 0.1,
  attentionDropout: 0.1,
  classifierDropout: 0.1,
  layerPlan: plainPlan(1),
};
const parameters = classifierParameters(architecture, 2);

export const tinyOptions: TrainOptions = {
  epochs: 3,
  batch: 4,
  accumulate: 1,
  learningRate: 0.02,
  schedule: { name: 'linear', warmup: 0.1 },
  adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 },
  clipNorm: 1,
  maxLength: 12,
  seed: 1,
  evaluate: 'epoch',
  saveEvery: 3600,
};

/** Sequences of 3 to `longest` tokens that begin with 5 where the label is 1. */
function tinyExamples(count: number, longest: number): EncodedExamples {
  const random = seeded(5);
  const offsets = new Int32Array(count + 1);
  const ids: number[] = [];
  const labels = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const rest = Array.from({ length: 2 + random.integer(longest - 2) }, () => 1 + random.integer(9));
    labels[i] = i % 2;
    ids.push(i % 2 === 1 ? 5 : 6, ...rest);
    offsets[i + 1] = ids.length;
  }
  return { count, ids: Int32Array.from(ids), typeIds: new Uint8Array(ids.length), offsets, labels, padId: 0 };
}

/** Weights that depend on nothing but this file. */
function tinyWeights(): Map<string, Tensor> {
  const random = seeded(9);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
  return new Map(parameters.map((p) => [p.name, initialValue(p, architecture.initializerRange, normal)]));
}

export interface TinySetup {
  readonly options?: Partial<TrainOptions>;
  /** Default 14. */
  readonly examples?: number;
  /** Tokens of the longest sequence, default 8: one padded length. */
  readonly longest?: number;
  /** Without dropout the result depends on the seed by the order of examples only. */
  readonly dropout?: boolean;
  /** The development metric of each evaluation; default: rising, so that the last weights are the best. */
  readonly scores?: readonly number[];
  /** What is made of the loss, and a number that it may use: 1 unless `feed` says otherwise. */
  readonly lossOf?: (context: StepContext, loss: Value, number: Value) => Value;
  readonly feed?: (batch: number, fed: FedBatch) => number;
  /** Tensors that steps read and never change. */
  readonly frozen?: ReadonlyMap<string, Tensor>;
  readonly better?: 'higher' | 'lower';
  /** Called after each step. */
  readonly afterStep?: (step: number, controller: AbortController) => void;
}

export interface Entry {
  readonly step: number;
  readonly [name: string]: number;
}

/** What is left of a run, or of several in the same folder. */
export interface TinyRun {
  readonly statePath: string;
  /** Entries of the metrics log. */
  readonly log: Entry[];
  /** Parameters at each time they were kept as the best. */
  readonly bests: Map<string, Tensor>[];
  start(engine: Engine, setup?: TinySetup): Promise<TrainResult>;
}

/** A run folder that is gone after the test. */
export async function tinyRun(t: TestContext): Promise<TinyRun> {
  const folder = await mkdtemp(join(tmpdir(), 'kdx-train-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const statePath = join(folder, 'state.safetensors');
  const log: Entry[] = [];
  const bests: Map<string, Tensor>[] = [];
  return {
    statePath,
    log,
    bests,
    start: (engine, setup = {}) => train(jobOf(engine, setup, { statePath, log, bests })),
  };
}

/** The step of a full batch of the longest sequences, with dropout. */
export function tinyStep(): Step {
  const objective: Objective = {
    parameters,
    regression: false,
    loss({ g, parameter, inputs, labels, weights, dropout }) {
      const { logits } = bertClassifier(g, architecture, parameter, inputs, dropout);
      return { loss: crossEntropy(g, logits, labels, weights) };
    },
  };
  const { adamw, clipNorm, batch: rows } = tinyOptions;
  return buildStep(objective, { rows, length: 8 }, { adamw, clipNorm, mode: 'update' });
}

function jobOf(engine: Engine, setup: TinySetup, run: Pick<TinyRun, 'statePath' | 'log' | 'bests'>): TrainJob {
  const { afterStep, feed = () => 1, lossOf = (_, loss) => loss } = setup;
  const used =
    (setup.dropout ?? true)
      ? architecture
      : { ...architecture, hiddenDropout: 0, attentionDropout: 0, classifierDropout: 0 };
  const controller = new AbortController();
  const progress: Progress = { ...silentProgress, update: (step) => afterStep?.(step, controller) };
  let batches = 0;
  let evaluations = 0;
  return {
    engine,
    objective: {
      parameters,
      regression: false,
      loss(context) {
        const { g, parameter, inputs, labels, weights, dropout } = context;
        const { logits } = bertClassifier(g, used, parameter, inputs, dropout);
        return {
          loss: lossOf(context, crossEntropy(g, logits, labels, weights), context.input('number', 'float32', [])),
        };
      },
    },
    initial: tinyWeights(),
    examples: tinyExamples(setup.examples ?? 14, setup.longest ?? 8),
    options: { ...tinyOptions, ...setup.options },
    extraFeeds: (batch) => ({ number: tensorOf('float32', [], [feed(batches++, batch)]) }),
    ...(setup.frozen && { frozen: setup.frozen }),
    evaluate: (state) => {
      const bias = state.variable('classifier.bias');
      const score = setup.scores?.[evaluations++];
      return Promise.resolve({ elements: elementCount(bias.dims), score: score ?? run.log.length });
    },
    primary: 'score',
    ...(setup.better && { better: setup.better }),
    saveBest: (values) => {
      run.bests.push(new Map(values));
      return Promise.resolve();
    },
    statePath: run.statePath,
    metrics: (step) => {
      run.log.splice(0, Infinity, ...run.log.filter((entry) => step > 0 && entry.step <= step));
      return Promise.resolve({ append: (entry) => Promise.resolve(void run.log.push(entry)) });
    },
    progress,
    signal: controller.signal,
  };
}

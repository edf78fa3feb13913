/** A classifier ready to run: from a checkpoint folder, an exported folder, or an ONNX file. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  loadCheckpoint,
  readConfig,
  readOnnxConfig,
  resolveModel,
  type BertConfig,
  type Checkpoint,
} from '../checkpoint/index.ts';
import { encodeExamples, loadTokenizer, type EncodedExamples, type Example, type Tokenizer } from '../data/index.ts';
import type { Engine, Session, SessionOptions } from '../engine/index.ts';
import { KdxError } from '../errors/index.ts';
import { fileExists } from '../files/index.ts';
import { numbersOf, tensorOf, type Model, type Tensor } from '../graph/index.ts';
import { classifierParameters, fromCheckpoint } from '../nn/index.ts';
import { readModel } from '../onnx/index.ts';
import { computeLogits, type LogitsOptions, type RunBatch } from './logits.ts';
import { classifierModel } from './model.ts';
import { configOfRef, isConfigRef } from './named-config.ts';
import { letterTokenizer, randomCheckpoint } from './random-source.ts';

/** What a classifier is made of, before it is given to an engine. */
export interface ClassifierSource {
  /** As the user called it. */
  readonly ref: string;
  /** Folder with config.json and tokenizer files. */
  readonly dir: string;
  readonly config: BertConfig;
  readonly tokenizer: Tokenizer;
  /** The ONNX file, or undefined for a checkpoint. */
  readonly onnxFile: string | undefined;
  readonly checkpoint: Checkpoint | undefined;
  /** The weights are random: speed and size mean something, answers do not, and there is no folder. */
  readonly isRandom?: true;
  /** Element type of the graph's inputs; default int64. */
  readonly inputType?: 'int32';
  /** The inference graph. */
  model(): Promise<Model>;
}

export interface OpenSourceOptions {
  /** Also take `config:NAME` and `config:FILE.json`: an architecture with random weights. Default: no. */
  readonly random?: boolean;
}

/**
 * Opens a checkpoint folder or hub id, an exported folder (onnx/model.onnx and no weights beside it), or an ONNX file
 * whose folder (or the folder above it) has config.json, of any model type, and the tokenizer.
 * @throws KdxError of the readers; `no-classifier-head`, `vocabulary-mismatch`, `random-weights`, `unknown-architecture`
 */
export async function openSource(ref: string, options: OpenSourceOptions = {}): Promise<ClassifierSource> {
  if (isConfigRef(ref)) return openRandom(ref, options);
  const file = /\.onnx$/i.test(ref) ? ref : await exportedModel(ref);
  return file === undefined ? openCheckpoint(ref) : openOnnx(file, ref);
}

/** The ONNX file of an exported folder; undefined for a checkpoint and for what is no folder. */
export async function exportedModel(dir: string): Promise<string | undefined> {
  const found = await stat(dir).catch(() => undefined);
  if (!found?.isDirectory()) return undefined;
  for (const weights of ['model.safetensors', 'model.safetensors.index.json'])
    if (await fileExists(join(dir, weights))) return undefined;
  const file = join(dir, 'onnx', 'model.onnx');
  return (await fileExists(file)) ? file : undefined;
}

/** The configuration of a checkpoint, exported folder, hub id or ONNX file, without its weights. */
export async function sourceConfig(ref: string): Promise<BertConfig> {
  if (isConfigRef(ref)) return configOfRef(ref);
  const file = /\.onnx$/i.test(ref) ? ref : await exportedModel(ref);
  return file === undefined
    ? readConfig(join(await resolveModel(ref), 'config.json'))
    : readOnnxConfig(join(await folderOf(file), 'config.json'));
}

async function openRandom(ref: string, { random = false }: OpenSourceOptions): Promise<ClassifierSource> {
  if (!random)
    throw new KdxError('random-weights', `${ref} has random weights: there is nothing to learn from its answers`, {
      suggestions: ['kdx bench and kdx export take it; here a checkpoint folder, hub id or ONNX file is needed'],
    });
  const checkpoint = await randomCheckpoint(ref);
  const { dir, config } = checkpoint;
  const model = () => Promise.resolve(checkpointModel(checkpoint));
  const tokenizer = letterTokenizer(config.vocabSize);
  return { ref, dir, config, tokenizer, onnxFile: undefined, checkpoint, isRandom: true, model };
}

async function openCheckpoint(ref: string): Promise<ClassifierSource> {
  const checkpoint = await loadCheckpoint(ref);
  if (!checkpoint.hasHead)
    throw new KdxError('no-classifier-head', `${ref} is a pretrained encoder without a classification head`, {
      suggestions: [`kdx finetune --model ${ref} --data DIR --task sst2 --out DIR`],
    });
  const tokenizer = await loadTokenizer(checkpoint.dir);
  checkVocabulary(tokenizer, checkpoint.config, ref);
  return {
    ref,
    dir: checkpoint.dir,
    config: checkpoint.config,
    tokenizer,
    onnxFile: undefined,
    checkpoint,
    model: () => Promise.resolve(checkpointModel(checkpoint)),
  };
}

async function openOnnx(file: string, ref: string): Promise<ClassifierSource> {
  if (!(await stat(file).catch(() => undefined)))
    throw new KdxError('file-not-found', `${file} does not exist`, {
      suggestions: ['kdx export --onnx --model DIR --out DIR makes one'],
    });
  const dir = await folderOf(file);
  const read = await readOnnxConfig(join(dir, 'config.json'));
  const tokenizer = await loadTokenizer(dir);
  checkVocabulary(tokenizer, read, file);
  // Of its positions other model types leave some out, which only the tokenizer knows.
  const longest = Math.min(read.maxPositions, tokenizer.modelMaxLength ?? Infinity);
  const config = read.isForeign ? { ...read, maxPositions: longest } : read;
  return { ref, dir, config, tokenizer, onnxFile: file, checkpoint: undefined, model: () => readModel(file) };
}

async function folderOf(file: string): Promise<string> {
  const beside = dirname(file);
  for (const dir of [beside, dirname(beside)]) if (await fileExists(join(dir, 'config.json'))) return dir;
  throw new KdxError('not-a-checkpoint', `no config.json beside ${file} or in the folder above`, {
    suggestions: ['copy config.json and tokenizer.json of the model there'],
  });
}

/** Graph of a checkpoint with a head, its weights as initializers. */
export function checkpointModel({ config, weights }: Pick<Checkpoint, 'config' | 'weights'>): Model {
  const labels = config.labels.length;
  const parameters = classifierParameters(config, labels).map((parameter): [string, Tensor] => [
    parameter.name,
    fromCheckpoint(parameter, weights.get(parameter.name) as Tensor<'float32'>),
  ]);
  return classifierModel(config, labels, new Map(parameters));
}

/** Every token id must have a row in the embedding. @throws KdxError `vocabulary-mismatch` */
export function checkVocabulary(tokenizer: Tokenizer, config: Pick<BertConfig, 'vocabSize'>, ref: string): void {
  if (tokenizer.vocabSize > config.vocabSize)
    throw new KdxError(
      'vocabulary-mismatch',
      `${ref}: the tokenizer has ${tokenizer.vocabSize} tokens, the embedding has ${config.vocabSize} rows`,
      { suggestions: ['use the tokenizer files that were published with this model'] },
    );
}

/** Every token must have a row in the position embedding. @throws KdxError `sequence-too-long` */
export function checkLength(maxLength: number, { maxPositions }: Pick<BertConfig, 'maxPositions'>): void {
  if (maxLength > maxPositions)
    throw new KdxError(
      'sequence-too-long',
      `sequences of up to ${maxLength} tokens do not fit a model with ${maxPositions} positions`,
      { suggestions: [`--max-length ${maxPositions}`] },
    );
}

/** A classifier on an engine. */
export interface Classifier {
  readonly source: ClassifierSource;
  /** float32 [examples, labels] */
  logits(examples: EncodedExamples, options?: Partial<LogitsOptions>): Promise<Tensor<'float32'>>;
  readonly run: RunBatch;
  /** Longest sequence that this model takes. */
  readonly maxLength: number;
  release(): Promise<void>;
}

/**
 * @param options of the session
 * @throws KdxError `invalid-model`, `corrupt-onnx`, `not-a-classifier`; and when it runs, `label-mismatch`,
 *   `sequence-too-long`, and of an ONNX file `invalid-model`
 */
export async function openClassifier(
  source: ClassifierSource,
  engine: Engine,
  options: SessionOptions = {},
): Promise<Classifier> {
  const name = source.onnxFile ?? source.ref;
  const session = await engine
    .createSession(source.onnxFile ?? (await source.model()), { name, ...options })
    .catch((error: unknown) => explainFailure(error, source));
  const problem = interfaceProblem(session);
  if (problem !== undefined) {
    await session.release();
    throw new KdxError('not-a-classifier', `${name} ${problem}`, {
      suggestions: [`a classifier reads ${inputNames.join(', ')} (not all are needed) and returns logits`],
    });
  }
  const { labels: labelNames, maxPositions: maxLength } = source.config;
  const labels = labelNames.length;
  const run: RunBatch = async (inputs) => {
    const typed = (value: Tensor) => (source.inputType === 'int32' ? asInt32(value) : value);
    const feeds = Object.fromEntries(session.inputs.map((input) => [input, typed(inputs[input] as Tensor)]));
    const results = await session.run({ feeds, fetch: ['logits'] }).catch((error: unknown) => {
      throw source.onnxFile === undefined ? error : failedRun(name, error);
    });
    const logits = results['logits'] as Tensor;
    const rows = (inputs['input_ids'] as Tensor).dims[0];
    if (logits.dtype !== 'float32' || logits.dims.length !== 2 || logits.dims[0] !== rows)
      throw new KdxError(
        'not-a-classifier',
        `${name} returns logits ${logits.dtype}[${logits.dims.join(', ')}] for ${rows} texts, expected float32[${rows}, ${labels}]`,
      );
    if (logits.dims.at(-1) !== labels)
      throw new KdxError(
        'label-mismatch',
        `${name} returns logits [${logits.dims.join(', ')}], its config.json has ${labels} label(s)`,
        { suggestions: ['use the config.json that was exported with this file'] },
      );
    return logits;
  };
  return {
    source,
    run,
    maxLength,
    async logits(examples, given = {}) {
      const options = { labels, maxLength, ...given };
      checkLength(options.maxLength, source.config);
      return computeLogits(run, examples, options);
    },
    release: () => session.release(),
  };
}

/** The executor does not say what is wrong with a damaged file; reading it does. */
async function explainFailure(error: unknown, { onnxFile, model }: ClassifierSource): Promise<never> {
  if (onnxFile !== undefined && error instanceof KdxError && error.code === 'invalid-model') await model();
  throw error;
}

/** A file that loads may still take other shapes than a classifier's, or fail on them: its fault, not ours. */
function failedRun(name: string, error: unknown): unknown {
  if (error instanceof KdxError) return error;
  const reason = (error as Error).message.replace(/^internal: /, '');
  return new KdxError('invalid-model', `${name} loads, but does not run as a classifier: ${reason}`, {
    suggestions: [`kdx inspect ${name}`],
    cause: error,
  });
}

function asInt32(value: Tensor): Tensor<'int32'> {
  return tensorOf('int32', value.dims, numbersOf(value));
}

/** What a classifier may read; not all are needed. */
export const inputNames: readonly string[] = ['input_ids', 'attention_mask', 'token_type_ids'];

/** Why a session is not one of a classifier. */
function interfaceProblem({ inputs, outputs }: Session): string | undefined {
  const unknown = inputs.filter((input) => !inputNames.includes(input));
  if (unknown.length > 0) return `reads ${unknown.join(', ')}`;
  return outputs.includes('logits') ? undefined : `returns ${outputs.join(', ')}, but no logits`;
}

/** One text (or pair) with what the model says of it. */
export interface Prediction {
  readonly text: string;
  readonly pair?: string;
  /** Undefined for regression. */
  readonly label: string | undefined;
  /** Probability of the label, or the output of a regression. */
  readonly score: number;
  readonly logits: readonly number[];
}

/**
 * Predictions in the order of the texts; a longer text is cut to what the model and its tokenizer allow.
 * @throws KdxError `invalid-logits` when a logit is NaN or infinite
 */
export async function predict(
  classifier: Classifier,
  texts: readonly Pick<Example, 'text' | 'pair'>[],
): Promise<Prediction[]> {
  const { tokenizer, config } = classifier.source;
  const examples = texts.map((text, id) => ({ ...text, id, label: 0 }));
  const maxLength = Math.min(classifier.maxLength, tokenizer.modelMaxLength ?? Infinity);
  const logits = await classifier.logits(encodeExamples(tokenizer, examples, maxLength));
  const labels = config.labels.length;
  return texts.map((text, i) => {
    const row = Array.from(logits.data.subarray(i * labels, (i + 1) * labels));
    if (!row.every(Number.isFinite))
      throw new KdxError(
        'invalid-logits',
        `${classifier.source.ref} gives ${row.join(', ')} for ${JSON.stringify(text.text)}`,
      );
    if (config.problemType === 'regression') return { ...text, label: undefined, score: row[0] as number, logits: row };
    const probabilities = softmax(row);
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { ...text, label: config.labels[best], score: probabilities[best] as number, logits: row };
  });
}

/** exp(x - max) / Σ, in float64. */
export function softmax(row: readonly number[]): number[] {
  const max = Math.max(...row);
  const exps = row.map((value) => Math.exp(value - max));
  const sum = exps.reduce((total, value) => total + value, 0);
  return exps.map((value) => value / sum);
}

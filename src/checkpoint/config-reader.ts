/** Reads config.json: every mistake in it is reported at once. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { familyTraits, plainPlan, type Activation, type Family } from '../nn/index.ts';
import { configKeys, distilBertFixed, firstPositionOf, type BertConfig, type BertProblemType } from './bert-config.ts';
import type { JsonObject } from './json.ts';
import { isObject, parseJson, readJsonText, shown } from './json.ts';

export const supportedModelTypes: readonly Family[] = ['bert', 'distilbert', 'roberta', 'xlm-roberta', 'camembert'];

const activations: ReadonlyMap<string, Activation> = new Map([
  ['gelu', 'gelu'],
  ['gelu_python', 'gelu'],
  ['gelu_new', 'gelu_new'],
  ['gelu_pytorch_tanh', 'gelu_new'],
  ['relu', 'relu'],
]);

/** Values that change the computation in a way kdx does not know, with the only value it does. */
const fixed: Readonly<Record<string, unknown>> = {
  position_embedding_type: 'absolute',
  is_decoder: false,
  add_cross_attention: false,
};

/** Larger numbers are typing mistakes, not models. */
const maxSize = 2 ** 31 - 1;
const maxLayers = 10_000;
const maxLabels = 1_000_000;

/**
 * The configuration in a file, or in the config.json of a folder. No weights are needed beside it.
 * @throws KdxError `file-not-found`, `invalid-config`, `unsupported-model-type`
 */
export async function readConfig(path: string): Promise<BertConfig> {
  const { json, file } = await readJson(path);
  return parseConfig(json, file);
}

/**
 * The configuration beside an ONNX file, of any model type: what is read of one that kdx does not build itself is what
 * the user of a classifier has to know.
 * @throws KdxError `file-not-found`, `invalid-config`, `unsupported-model-type` where there is none
 */
export async function readOnnxConfig(path: string): Promise<BertConfig> {
  const { json, file } = await readJson(path);
  const type = json['model_type'];
  const isForeign = typeof type === 'string' && !(supportedModelTypes as readonly string[]).includes(type);
  return isForeign ? parseForeign(json, file) : parseConfig(json, file);
}

async function readJson(path: string): Promise<{ json: JsonObject; file: string }> {
  let file = path;
  let text: string;
  try {
    if ((await stat(path)).isDirectory()) file = join(path, 'config.json');
    text = await readJsonText(file);
  } catch (error) {
    throw fileError(error, file);
  }
  const invalid = (what: string, cause?: unknown) =>
    new KdxError('invalid-config', `${file}: ${what}`, { suggestions: ['copy or download the file again'], cause });
  const json = parseJson(text, (reason, cause) => invalid(`not JSON (${reason})`, cause));
  if (!isObject(json)) throw invalid('not a JSON object');
  return { json, file };
}

/**
 * The configuration in a parsed config.json; `source` names it in messages.
 * @throws KdxError `invalid-config`, `unsupported-model-type`
 */
export function parseConfig(raw: JsonObject, source: string): BertConfig {
  const type = raw['model_type'];
  const family = supportedModelTypes.find((known) => known === type);
  if (family === undefined) {
    const what = type === undefined ? 'has no model_type' : `has model_type ${shown(type)}`;
    throw new KdxError('unsupported-model-type', `${source} ${what}`, {
      suggestions: [
        `supported model types: ${supportedModelTypes.join(', ')}`,
        'or the ONNX file of the model, with config.json and the tokenizer beside it, where an ONNX file will do',
      ],
    });
  }
  const problems: string[] = [];
  const config = readFields(raw, family, problems);
  if (problems.length > 0) throw new KdxError('invalid-config', [`${source}:`, ...problems].join('\n  '));
  return config;
}

/** @throws KdxError `unsupported-model-type` where it does not say enough */
function parseForeign(raw: JsonObject, source: string): BertConfig {
  const problems: string[] = [];
  const vocabSize = integer(raw, 'vocab_size', 1, maxSize, undefined, problems);
  const maxPositions = integer(raw, 'max_position_embeddings', 1, maxSize, undefined, problems);
  const padTokenId = integer(raw, 'pad_token_id', 0, maxSize, 0, problems);
  const labels = readLabels(raw, problems);
  const problemType = readProblemType(raw, labels.length, problems);
  const size = (key: string, max = maxSize) => integer(raw, key, 0, max, 0, problems);
  const layers = size('num_hidden_layers', maxLayers);
  const [hiddenSize, heads] = [size('hidden_size'), size('num_attention_heads')];
  const intermediateSize = size('intermediate_size');
  if (problems.length > 0)
    throw new KdxError(
      'unsupported-model-type',
      [`${source} has model_type ${shown(raw['model_type'])}, and says too little of it:`, ...problems].join('\n  '),
      { suggestions: [`supported model types: ${supportedModelTypes.join(', ')}`] },
    );
  return {
    isForeign: true,
    vocabSize,
    hiddenSize,
    layers,
    heads,
    intermediateSize,
    activation: 'gelu',
    hiddenDropout: 0,
    attentionDropout: 0,
    classifierDropout: 0,
    maxPositions,
    typeVocabSize: 0,
    layerNormEps: 1e-12,
    initializerRange: 0.02,
    padTokenId,
    labels,
    problemType,
    layerPlan: plainPlan(layers),
    raw,
  };
}

function readFields(raw: JsonObject, family: Family, problems: string[]): BertConfig {
  const keys = configKeys[family];
  const isDistilBert = family === 'distilbert';
  const size = (key: string, fallback?: number) => integer(raw, key, 1, maxSize, fallback, problems);
  const dropout = (key: string, fallback: number) =>
    number(raw, key, (x) => x >= 0 && x < 1, 'a number from 0 to less than 1', fallback, problems);
  const positive = (key: string, fallback: number) =>
    number(raw, key, (x) => x > 0, 'a number above 0', fallback, problems);

  for (const [key, only] of Object.entries(fixed))
    if ((raw[key] ?? only) !== only)
      problems.push(`${key} is ${shown(raw[key])}, only ${JSON.stringify(only)} is supported`);
  const vocabSize = size('vocab_size');
  const before = problems.length;
  const hiddenSize = size(keys.hiddenSize);
  const heads = size(keys.heads);
  if (problems.length === before && hiddenSize % heads !== 0)
    problems.push(`${keys.heads} ${heads} does not divide ${keys.hiddenSize} ${hiddenSize}`);
  const layers = integer(raw, keys.layers, 1, maxLayers, undefined, problems);
  const hiddenDropout = dropout(keys.hiddenDropout, 0.1);
  const labels = readLabels(raw, problems);
  const positions = size('max_position_embeddings');
  const defaultPadding = familyTraits({ family }).positionsAfterPadding ? 1 : 0;
  const padTokenId = integer(raw, 'pad_token_id', 0, vocabSize - 1, defaultPadding, problems);
  const firstPosition = firstPositionOf(family, padTokenId);
  if (problems.length === 0 && firstPosition !== undefined && positions <= firstPosition)
    problems.push(`max_position_embeddings is ${positions}, expected more than pad_token_id + 1 (${firstPosition})`);
  return {
    ...(family !== 'bert' && { family }),
    vocabSize,
    hiddenSize,
    layers,
    heads,
    intermediateSize: size(keys.intermediateSize),
    activation: readActivation(raw, keys.activation, problems),
    hiddenDropout,
    attentionDropout: dropout(keys.attentionDropout, 0.1),
    classifierDropout: dropout(keys.classifierDropout, isDistilBert ? 0.2 : hiddenDropout),
    maxPositions: positions - (firstPosition ?? 0),
    ...(firstPosition !== undefined && { firstPosition }),
    initializerRange: positive('initializer_range', 0.02),
    ...(isDistilBert
      ? distilBertFixed
      : { typeVocabSize: size('type_vocab_size', 2), layerNormEps: positive('layer_norm_eps', 1e-12) }),
    padTokenId,
    labels,
    problemType: readProblemType(raw, labels.length, problems),
    layerPlan: readLayerPlan(raw, layers, keys.layers, problems),
    ...readSwappedDepths(raw, layers, problems),
    raw,
  };
}

/** After a problem any value will do: the caller throws. */
function integer(
  raw: JsonObject,
  key: string,
  min: number,
  max: number,
  fallback: number | undefined,
  problems: string[],
): number {
  const value = raw[key] ?? fallback;
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  problems.push(`${key} is ${shown(value)}, expected an integer from ${min} to ${max}`);
  return min;
}

function number(
  raw: JsonObject,
  key: string,
  allowed: (value: number) => boolean,
  range: string,
  fallback: number,
  problems: string[],
): number {
  const value = raw[key] ?? fallback;
  if (typeof value === 'number' && allowed(value)) return value;
  problems.push(`${key} is ${shown(value)}, expected ${range}`);
  return fallback;
}

function readActivation(raw: JsonObject, key: string, problems: string[]): Activation {
  const activation = activations.get((raw[key] ?? 'gelu') as string);
  if (activation !== undefined) return activation;
  problems.push(`${key} is ${shown(raw[key])}, expected ${[...activations.keys()].join(', ')}`);
  return 'gelu';
}

function readLabels(raw: JsonObject, problems: string[]): readonly string[] {
  const id2label = raw['id2label'] ?? undefined;
  if (id2label === undefined) {
    const length = integer(raw, 'num_labels', 1, maxLabels, 2, problems);
    return Array.from({ length }, (_, id) => `LABEL_${id}`);
  }
  const names = isObject(id2label) ? Object.entries(id2label) : [];
  const labels = names.map((_, id) => (id2label as JsonObject)[String(id)]);
  const isName = (label: unknown) => typeof label === 'string' || typeof label === 'number';
  if (labels.length === 0 || !labels.every(isName))
    problems.push(`id2label is ${shown(id2label)}, expected a name for each class 0, 1, 2, ...`);
  else if (new Set(labels.map(String)).size < labels.length) problems.push('id2label gives two classes the same name');
  if ((raw['num_labels'] ?? labels.length) !== labels.length)
    problems.push(`num_labels is ${shown(raw['num_labels'])} but id2label has ${labels.length} entries`);
  return labels.filter(isName).map(String);
}

function readProblemType(raw: JsonObject, labels: number, problems: string[]): BertProblemType {
  const byCount = labels === 1 ? 'regression' : 'single_label_classification';
  const type = raw['problem_type'] ?? byCount;
  if (type !== 'regression' && type !== 'single_label_classification')
    problems.push(`problem_type is ${shown(type)}, expected regression or single_label_classification`);
  else if (type !== byCount && labels > 0)
    problems.push(`problem_type is ${type}, which does not fit ${labels} label(s)`);
  return byCount;
}

function readLayerPlan(raw: JsonObject, layers: number, depthKey: string, problems: string[]): readonly number[] {
  const plan = raw['kdx_layer_plan'] ?? undefined;
  if (plan === undefined) return plainPlan(layers);
  const problem = layerPlanProblem(plan, layers, depthKey);
  if (problem === undefined) return plan as number[];
  problems.push(`kdx_layer_plan is ${shown(plan)}, ${problem}`);
  return plainPlan(layers);
}

function readSwappedDepths(
  raw: JsonObject,
  layers: number,
  problems: string[],
): { readonly swappedDepths?: readonly number[] } {
  const depths = raw['kdx_swapped_depths'] ?? undefined;
  if (depths === undefined) return {};
  const isDepth = (depth: unknown) => Number.isInteger(depth) && (depth as number) >= 0 && (depth as number) < layers;
  if (Array.isArray(depths) && depths.every(isDepth)) return { swappedDepths: depths as number[] };
  problems.push(`kdx_swapped_depths is ${shown(depths)}, expected depths from 0 to ${layers - 1}`);
  return {};
}

function layerPlanProblem(plan: unknown, layers: number, depthKey: string): string | undefined {
  if (!Array.isArray(plan) || plan.length !== layers)
    return `expected ${depthKey} (${layers}) layer numbers, one for each depth`;
  const used = new Set<unknown>(plan);
  if (plan.every((layer) => Number.isInteger(layer) && layer >= 0 && layer < used.size)) return undefined;
  return `expected integers from 0 on without holes`;
}

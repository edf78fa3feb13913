/** Writes config.json as Transformers reads it. */
import { internal } from '../errors/index.ts';
import type { Family } from '../nn/index.ts';
import { configKeys, distilBertFixed, firstPositionOf, type BertConfig } from './bert-config.ts';
import type { CheckpointKind } from './bert-tensors.ts';
import type { JsonObject } from './json.ts';

const classNames: Readonly<Record<Family, Readonly<Record<CheckpointKind, string>>>> = {
  bert: { classifier: 'BertForSequenceClassification', 'masked-lm': 'BertForMaskedLM', encoder: 'BertModel' },
  distilbert: {
    classifier: 'DistilBertForSequenceClassification',
    'masked-lm': 'DistilBertForMaskedLM',
    encoder: 'DistilBertModel',
  },
  roberta: {
    classifier: 'RobertaForSequenceClassification',
    'masked-lm': 'RobertaForMaskedLM',
    encoder: 'RobertaModel',
  },
  'xlm-roberta': {
    classifier: 'XLMRobertaForSequenceClassification',
    'masked-lm': 'XLMRobertaForMaskedLM',
    encoder: 'XLMRobertaModel',
  },
  camembert: {
    classifier: 'CamembertForSequenceClassification',
    'masked-lm': 'CamembertForMaskedLM',
    encoder: 'CamembertModel',
  },
};

/** Keys of what kdx knows, which are written from the typed form or not at all. */
const ownKeys = new Set([
  ...Object.values(configKeys.bert),
  ...Object.values(configKeys.distilbert),
  'type_vocab_size',
  'layer_norm_eps',
  'position_embedding_type',
  'sinusoidal_pos_embds',
  'num_labels',
  'id2label',
  'label2id',
  'problem_type',
  'kdx_layer_plan',
  'kdx_swapped_depths',
]);

/** The config.json of a model, as Transformers opens it with the class of its kind. */
export function configToJson(config: BertConfig, kind: CheckpointKind = 'classifier'): JsonObject {
  const { family = 'bert', firstPosition, padTokenId, raw, swappedDepths = [], isForeign } = config;
  if (isForeign) throw internal(`a configuration of model type ${String(raw['model_type'])} is only read`);
  if (firstPosition !== firstPositionOf(family, padTokenId))
    throw internal(`the first position of a ${family} is ${firstPosition}, with padding token ${padTokenId}`);
  const written: JsonObject = {
    architectures: [classNames[family][kind]],
    model_type: family,
    vocab_size: config.vocabSize,
    ...(family === 'distilbert' ? distilBertFields(config) : bertFields(config)),
    max_position_embeddings: (firstPosition ?? 0) + config.maxPositions,
    initializer_range: config.initializerRange,
    pad_token_id: padTokenId,
    ...(kind === 'classifier' && classes(config)),
    ...(kind === 'masked-lm' && { tie_word_embeddings: true }),
    // Weights are written as float32, whatever they were read as; both spellings are in use.
    ...('torch_dtype' in raw && { torch_dtype: 'float32' }),
    ...('dtype' in raw && { dtype: 'float32' }),
    ...(config.layerPlan.some((layer, depth) => layer !== depth) && { kdx_layer_plan: config.layerPlan }),
    ...(swappedDepths.length > 0 && { kdx_swapped_depths: swappedDepths }),
  };
  const kept = Object.entries(raw).filter(([key]) => !ownKeys.has(key) && !Object.hasOwn(written, key));
  return { ...written, ...Object.fromEntries(kept) };
}

function bertFields(config: BertConfig): JsonObject {
  return {
    ...renamed(config, 'bert'),
    ...(config.classifierDropout === config.hiddenDropout && { classifier_dropout: null }),
    type_vocab_size: config.typeVocabSize,
    layer_norm_eps: config.layerNormEps,
    position_embedding_type: 'absolute',
  };
}

/** The position table is always stored, whatever it was made from. */
function distilBertFields(config: BertConfig): JsonObject {
  for (const key of ['typeVocabSize', 'layerNormEps'] as const)
    if (config[key] !== distilBertFixed[key]) throw internal(`${key} of a DistilBERT is ${config[key]}`);
  return { ...renamed(config, 'distilbert'), sinusoidal_pos_embds: false };
}

function renamed(config: BertConfig, family: Family): JsonObject {
  const keys = configKeys[family];
  return Object.fromEntries(
    Object.entries(keys).map(([property, key]) => [key, config[property as keyof typeof keys]]),
  );
}

function classes({ labels, problemType }: BertConfig): JsonObject {
  return {
    id2label: Object.fromEntries(labels.map((label, id) => [String(id), label])),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
    problem_type: problemType,
  };
}

/** The typed form of a BERT config.json. */
import type { BertArchitecture } from '../nn/index.ts';
import type { JsonObject } from './json.ts';

export type BertProblemType = 'regression' | 'single_label_classification';

export interface BertConfig extends BertArchitecture {
  /** Depth: how many layers run, which is more than are stored when `layerPlan` repeats some. */
  readonly layers: number;
  readonly padTokenId: number;
  /** Label names by class id; a single one for regression. */
  readonly labels: readonly string[];
  readonly problemType: BertProblemType;
  /** config.json as it was read, so that keys kdx does not know survive. */
  readonly raw: Readonly<JsonObject>;
}

/** The config.json of a sequence classifier, as Transformers' AutoModelForSequenceClassification opens it. */
export function configToJson(config: BertConfig): JsonObject {
  const { num_labels: _count, kdx_layer_plan: _plan, kdx_swapped_depths: _swapped, ...kept } = config.raw;
  return {
    ...kept,
    architectures: ['BertForSequenceClassification'],
    model_type: 'bert',
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    intermediate_size: config.intermediateSize,
    hidden_act: config.activation,
    hidden_dropout_prob: config.hiddenDropout,
    attention_probs_dropout_prob: config.attentionDropout,
    classifier_dropout: config.classifierDropout === config.hiddenDropout ? null : config.classifierDropout,
    max_position_embeddings: config.maxPositions,
    type_vocab_size: config.typeVocabSize,
    initializer_range: config.initializerRange,
    layer_norm_eps: config.layerNormEps,
    pad_token_id: config.padTokenId,
    position_embedding_type: 'absolute',
    id2label: Object.fromEntries(config.labels.map((label, id) => [String(id), label])),
    label2id: Object.fromEntries(config.labels.map((label, id) => [label, id])),
    problem_type: config.problemType,
    // Weights are written as float32, whatever they were read as; both spellings are in use.
    ...('torch_dtype' in kept && { torch_dtype: 'float32' }),
    ...('dtype' in kept && { dtype: 'float32' }),
    ...(config.layerPlan.some((layer, depth) => layer !== depth) && { kdx_layer_plan: config.layerPlan }),
    ...(config.swappedDepths && config.swappedDepths.length > 0 && { kdx_swapped_depths: config.swappedDepths }),
  };
}

/** The typed form of the config.json of a BERT, DistilBERT or RoBERTa. */
import { familyTraits, type BertArchitecture, type Family } from '../nn/index.ts';
import type { JsonObject } from './json.ts';

export type BertProblemType = 'regression' | 'single_label_classification';

export interface BertConfig extends BertArchitecture {
  /** Depth: how many layers run, which is more than are stored when `layerPlan` repeats some. */
  readonly layers: number;
  readonly padTokenId: number;
  /** Label names by class id; a single one for regression. */
  readonly labels: readonly string[];
  readonly problemType: BertProblemType;
  /** Another model type, known by its ONNX file alone: sizes are for people (0: not known), the graph cannot be built. */
  readonly isForeign?: true;
  /** config.json as it was read, so that keys kdx does not know survive. */
  readonly raw: Readonly<JsonObject>;
}

/** Properties that families have under different keys. */
type RenamedProperty =
  | 'hiddenSize'
  | 'layers'
  | 'heads'
  | 'intermediateSize'
  | 'activation'
  | 'hiddenDropout'
  | 'attentionDropout'
  | 'classifierDropout';

const bertKeys = {
  hiddenSize: 'hidden_size',
  layers: 'num_hidden_layers',
  heads: 'num_attention_heads',
  intermediateSize: 'intermediate_size',
  activation: 'hidden_act',
  hiddenDropout: 'hidden_dropout_prob',
  attentionDropout: 'attention_probs_dropout_prob',
  classifierDropout: 'classifier_dropout',
};

export const configKeys: Readonly<Record<Family, Readonly<Record<RenamedProperty, string>>>> = {
  bert: bertKeys,
  roberta: bertKeys,
  'xlm-roberta': bertKeys,
  camembert: bertKeys,
  distilbert: {
    hiddenSize: 'dim',
    layers: 'n_layers',
    heads: 'n_heads',
    intermediateSize: 'hidden_dim',
    activation: 'activation',
    hiddenDropout: 'dropout',
    attentionDropout: 'attention_dropout',
    classifierDropout: 'seq_classif_dropout',
  },
};

/** What DistilBERT's config.json cannot say, because Transformers has it fixed. */
export const distilBertFixed = { typeVocabSize: 0, layerNormEps: 1e-12 } as const;

/** RoBERTa numbers positions from the one after its padding token. @returns undefined for a family that counts from 0 */
export function firstPositionOf(family: Family, padTokenId: number): number | undefined {
  return familyTraits({ family }).positionsAfterPadding ? padTokenId + 1 : undefined;
}

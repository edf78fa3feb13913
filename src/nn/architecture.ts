/** What a BERT-type model is made of, in the terms of Hugging Face's BertConfig. */

export type Activation = 'gelu' | 'gelu_new' | 'relu';

/** Model types of Hugging Face. XLM-RoBERTa and CamemBERT are RoBERTa with another vocabulary. */
export type Family = 'bert' | 'distilbert' | 'roberta' | 'xlm-roberta' | 'camembert';

/** In what the families differ. */
export interface FamilyTraits {
  /** For people. */
  readonly name: string;
  /** The layer between the first token and the classifier: BERT's pooler, or a layer of the classification head. */
  readonly pooling: 'bert.pooler.dense' | 'pre_classifier';
  readonly poolingActivation: 'Tanh' | 'Relu';
  /** Whether the classifier's dropout is also applied to the first token. */
  readonly dropsFirstToken: boolean;
  /** Whether there is dropout on the output projection of attention. */
  readonly dropsProjection: boolean;
  /** Whether token types are an input; otherwise each token is of the first type, if there are any. */
  readonly readsTokenTypes: boolean;
  /** Whether the first token has the position after the number of the padding token, not position 0. */
  readonly positionsAfterPadding: boolean;
  /** Activation in the head of the masked language model; undefined: that of the layers. */
  readonly maskedLmActivation: Activation | undefined;
}

const bert: FamilyTraits = {
  name: 'BERT',
  pooling: 'bert.pooler.dense',
  poolingActivation: 'Tanh',
  dropsFirstToken: false,
  dropsProjection: true,
  readsTokenTypes: true,
  positionsAfterPadding: false,
  maskedLmActivation: undefined,
};

const roberta: FamilyTraits = {
  ...bert,
  name: 'RoBERTa',
  pooling: 'pre_classifier',
  dropsFirstToken: true,
  readsTokenTypes: false,
  positionsAfterPadding: true,
  maskedLmActivation: 'gelu',
};

const families: Readonly<Record<Family, FamilyTraits>> = {
  bert,
  distilbert: {
    ...bert,
    name: 'DistilBERT',
    pooling: 'pre_classifier',
    poolingActivation: 'Relu',
    dropsProjection: false,
    readsTokenTypes: false,
  },
  roberta,
  'xlm-roberta': { ...roberta, name: 'XLM-RoBERTa' },
  camembert: { ...roberta, name: 'CamemBERT' },
};

export function familyTraits({ family = 'bert' }: Pick<BertArchitecture, 'family'>): FamilyTraits {
  return families[family];
}

export interface BertArchitecture {
  /** Absent: bert. */
  readonly family?: Family;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly intermediateSize: number;
  readonly activation: Activation;
  /** Longest sequence. */
  readonly maxPositions: number;
  /** Row of the position table for the first token: RoBERTa leaves out those up to its padding token. Absent: 0. */
  readonly firstPosition?: number;
  /** 0: the model has no token types. */
  readonly typeVocabSize: number;
  readonly layerNormEps: number;
  readonly initializerRange: number;
  readonly hiddenDropout: number;
  readonly attentionDropout: number;
  /** Dropout before the classifier. */
  readonly classifierDropout: number;
  /** Physical layer run at each depth: [0,1,2] is a plain 3-layer encoder, [0,1,2,0,1,2] runs it twice. */
  readonly layerPlan: readonly number[];
  /** Depths at which query and key projections exchange roles (the shuffle of Pea-KD's SPS); absent: none. */
  readonly swappedDepths?: readonly number[];
}

/** Physical layers: those that own parameters. */
export function physicalLayers(architecture: Pick<BertArchitecture, 'layerPlan'>): number {
  return Math.max(-1, ...architecture.layerPlan) + 1;
}

/** The plan of an encoder that shares nothing. */
export function plainPlan(depth: number): number[] {
  return Array.from({ length: depth }, (_, i) => i);
}

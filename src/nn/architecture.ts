/** What a BERT-type model is made of, in the terms of Hugging Face's BertConfig. */

export type Activation = 'gelu' | 'gelu_new' | 'relu';

/**
 * DistilBERT has no token types and no pooler, no dropout on the output projection of attention, and a hidden layer with
 * ReLU in the classification head.
 */
export type Family = 'bert' | 'distilbert';

export interface BertArchitecture {
  /** Absent: bert. */
  readonly family?: Family;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly intermediateSize: number;
  readonly activation: Activation;
  readonly maxPositions: number;
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

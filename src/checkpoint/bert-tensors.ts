/** The weights of BertForSequenceClassification: canonical names, shapes, and the other names files use for them. */
import { checkpointShape, classifierParameters } from '../nn/index.ts';
import type { BertConfig } from './bert-config.ts';

/** Tensors that a file may lack together: a pretrained encoder has no head, sometimes no pooler. */
export type BertPart = 'encoder' | 'pooler' | 'head';

export interface BertTensor {
  /** As Transformers writes it, e.g. `bert.encoder.layer.0.attention.self.query.weight`. */
  readonly name: string;
  readonly dims: readonly number[];
  readonly part: BertPart;
}

/** Every tensor of a model, in the order they are written. Linear weights are [out, in]. */
export function bertTensors(config: BertConfig): BertTensor[] {
  return classifierParameters(config, config.labels.length).map((parameter) => ({
    name: parameter.name,
    dims: checkpointShape(parameter),
    part: partOf(parameter.name),
  }));
}

function partOf(name: string): BertPart {
  if (name.startsWith('classifier.')) return 'head';
  return name.startsWith('bert.pooler.') ? 'pooler' : 'encoder';
}

/** The canonical form of a name: with the `bert.` prefix, and without TensorFlow's gamma and beta. */
export function canonicalName(name: string): string {
  return name
    .replace(/^(?=(?:embeddings|encoder|pooler)\.)/, 'bert.')
    .replace(/\.LayerNorm\.gamma$/, '.LayerNorm.weight')
    .replace(/\.LayerNorm\.beta$/, '.LayerNorm.bias');
}

/** Index tables that old files hold as if they were weights; they are made anew from the shapes. */
export function isBuffer(canonical: string): boolean {
  return canonical === 'bert.embeddings.position_ids' || canonical === 'bert.embeddings.token_type_ids';
}

/** DistilBERT's tensor names in Transformers, and the canonical ones (those of BERT) of the same parts. */
import { internal } from '../errors/index.ts';

/** Of a layer, after `transformer.layer.N.` and `encoder.layer.N.`. */
const layerParts: readonly (readonly [distilbert: string, canonical: string])[] = [
  ['attention.q_lin', 'attention.self.query'],
  ['attention.k_lin', 'attention.self.key'],
  ['attention.v_lin', 'attention.self.value'],
  ['attention.out_lin', 'attention.output.dense'],
  ['sa_layer_norm', 'attention.output.LayerNorm'],
  ['ffn.lin1', 'intermediate.dense'],
  ['ffn.lin2', 'output.dense'],
  ['output_layer_norm', 'output.LayerNorm'],
];

const heads: readonly (readonly [distilbert: string, canonical: string])[] = [
  ['vocab_transform.weight', 'cls.predictions.transform.dense.weight'],
  ['vocab_transform.bias', 'cls.predictions.transform.dense.bias'],
  ['vocab_layer_norm.weight', 'cls.predictions.transform.LayerNorm.weight'],
  ['vocab_layer_norm.bias', 'cls.predictions.transform.LayerNorm.bias'],
  ['vocab_projector.weight', 'cls.predictions.decoder.weight'],
  ['vocab_projector.bias', 'cls.predictions.bias'],
];

/** The canonical form of a stored name, with or without `distilbert.`; undefined for what is no name of DistilBERT's. */
export function fromDistilBert(name: string): string | undefined {
  const inner = name.replace(/^distilbert\./, '');
  if (inner.startsWith('embeddings.')) return `bert.${inner}`;
  const layer = /^transformer\.layer\.(\d+)\.(.+)\.(weight|bias)$/.exec(inner);
  if (layer) {
    const part = layerParts.find(([part]) => part === layer[2])?.[1];
    return part && `bert.encoder.layer.${layer[1]}.${part}.${layer[3]}`;
  }
  if (/^(pre_)?classifier\./.test(name)) return name;
  return heads.find(([head]) => head === name)?.[1];
}

/** The name under which Transformers stores a canonical tensor of a DistilBERT. */
export function toDistilBert(canonical: string): string {
  if (canonical.startsWith('bert.embeddings.')) return `distil${canonical}`;
  const layer = /^bert\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)$/.exec(canonical);
  const part = layer && layerParts.find(([, part]) => part === layer[2])?.[0];
  if (part) return `distilbert.transformer.layer.${layer[1]}.${part}.${layer[3]}`;
  if (/^(pre_)?classifier\./.test(canonical)) return canonical;
  return heads.find(([, head]) => head === canonical)?.[0] ?? unknown(canonical);
}

function unknown(canonical: string): never {
  throw internal(`a DistilBERT has no ${canonical}`);
}

/** RoBERTa's tensor names in Transformers, and the canonical ones (those of BERT) of the same parts. */
import { internal } from '../errors/index.ts';

const parts: readonly (readonly [roberta: string, canonical: string])[] = [
  ['classifier.dense.', 'pre_classifier.'],
  ['classifier.out_proj.', 'classifier.'],
  ['lm_head.dense.', 'cls.predictions.transform.dense.'],
  ['lm_head.layer_norm.', 'cls.predictions.transform.LayerNorm.'],
  ['lm_head.decoder.', 'cls.predictions.decoder.'],
  ['lm_head.', 'cls.predictions.'],
  ['roberta.', 'bert.'],
];

/** The canonical form of a stored name, with or without `roberta.`; undefined for what is no name of RoBERTa's. */
export function fromRoberta(name: string): string | undefined {
  const full = name.replace(/^(?=(?:embeddings|encoder|pooler)\.)/, 'roberta.');
  const part = parts.find(([roberta]) => full.startsWith(roberta));
  return part && full.replace(...part);
}

/** The name under which Transformers stores a canonical tensor of a RoBERTa. */
export function toRoberta(canonical: string): string {
  const part = parts.find(([, prefix]) => canonical.startsWith(prefix));
  if (!part) throw internal(`a RoBERTa has no ${canonical}`);
  return canonical.replace(part[1], part[0]);
}

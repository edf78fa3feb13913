/** The weights of a BERT, DistilBERT or RoBERTa: canonical names, shapes, and the other names files use for them. */
import { checkpointShape, classifierParameters, maskedLmParameters, type Family } from '../nn/index.ts';
import type { BertConfig } from './bert-config.ts';
import { fromDistilBert, toDistilBert } from './distilbert-names.ts';
import { fromRoberta, toRoberta } from './roberta-names.ts';

/** Tensors that a file may lack together: a pretrained encoder has no head, sometimes no pooler. */
export type BertPart = 'encoder' | 'pooler' | 'head' | 'masked-lm';

/** What a folder is for; each has a class of its own in Transformers. */
export type CheckpointKind = 'classifier' | 'masked-lm' | 'encoder';

/** Parts of each kind; an encoder may lack the pooler. */
export const partsOfKind: Readonly<Record<CheckpointKind, readonly BertPart[]>> = {
  classifier: ['encoder', 'pooler', 'head'],
  'masked-lm': ['encoder', 'masked-lm'],
  encoder: ['encoder', 'pooler'],
};

export const allParts: readonly BertPart[] = ['encoder', 'pooler', 'head', 'masked-lm'];

export interface BertTensor {
  /** As Transformers writes it for BERT, e.g. `bert.encoder.layer.0.attention.self.query.weight`. */
  readonly name: string;
  readonly dims: readonly number[];
  readonly part: BertPart;
}

/** Every tensor of the given parts (default: those of a classifier), in the order they are written. Linear weights are [out, in]. */
export function bertTensors(
  config: BertConfig,
  parts: readonly BertPart[] = partsOfKind.classifier,
): readonly BertTensor[] {
  return [...classifierParameters(config, config.labels.length), ...maskedLmParameters(config)]
    .map((parameter) => ({
      name: parameter.name,
      dims: checkpointShape(parameter),
      part: partOf(parameter.name),
    }))
    .filter(({ part }) => parts.includes(part));
}

function partOf(name: string): BertPart {
  if (/^(pre_)?classifier\./.test(name)) return 'head';
  if (name.startsWith('cls.')) return 'masked-lm';
  return name.startsWith('bert.pooler.') ? 'pooler' : 'encoder';
}

interface Names {
  readonly canonical: (stored: string) => string | undefined;
  readonly stored: (canonical: string) => string;
}

const bert: Names = {
  canonical: (name) => name.replace(/^(?=(?:embeddings|encoder|pooler)\.)/, 'bert.'),
  stored: (name) => name,
};
const roberta: Names = { canonical: fromRoberta, stored: toRoberta };
const namesOf: Readonly<Record<Family, Names>> = {
  bert,
  distilbert: { canonical: fromDistilBert, stored: toDistilBert },
  roberta,
  'xlm-roberta': roberta,
  camembert: roberta,
};

/**
 * The canonical form of a stored name: that of BERT, with the `bert.` prefix, and without TensorFlow's gamma and beta.
 * Undefined for a name that is none of the family's.
 */
export function canonicalName(name: string, family: Family = 'bert'): string | undefined {
  return namesOf[family]
    .canonical(name)
    ?.replace(/\.LayerNorm\.gamma$/, '.LayerNorm.weight')
    .replace(/\.LayerNorm\.beta$/, '.LayerNorm.bias');
}

/** The name under which a family stores a canonical tensor. */
export function storedName(canonical: string, family: Family = 'bert'): string {
  return namesOf[family].stored(canonical);
}

/** Tensors that a file may repeat under a second name: the copy, and the one it is tied to. */
export const tiedCopies: ReadonlyMap<string, string> = new Map([
  ['cls.predictions.decoder.weight', 'bert.embeddings.word_embeddings.weight'],
  ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
]);

/** Index tables that old files hold as if they were weights; they are made anew from the shapes. */
export function isBuffer(canonical: string): boolean {
  return canonical === 'bert.embeddings.position_ids' || canonical === 'bert.embeddings.token_type_ids';
}

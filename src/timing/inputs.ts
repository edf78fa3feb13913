/** What models read while they are measured: real sentences, joined until every position holds a token. */
import { collate, encodeExamples, randomStream, type Tokenizer } from '../data/index.ts';
import type { Tensor } from '../graph/index.ts';
import { sentences } from './sentences.ts';

export interface InputOptions {
  readonly texts: readonly string[];
  readonly batch: number;
  /** Tokens per sequence, special tokens included. */
  readonly length: number;
  readonly seed: number;
}

/** input_ids, attention_mask (all 1) and token_type_ids (all 0), int64 [batch, length]. */
export type Inputs = Readonly<Record<'input_ids' | 'attention_mask' | 'token_type_ids', Tensor<'int64'>>>;

/** Different inputs that take turns, so that no run finds exactly what the one before it left in the caches. */
const VARIANTS = 8;

/**
 * Texts for a number of batches, each long enough to fill the length; the same for every tokenizer that gives at least a
 * token per word.
 * @throws KdxError `invalid-max-length` when the length has no room for a token
 */
export function measurementTexts(tokenizer: Tokenizer, { texts, batch, length, seed }: InputOptions): string[][] {
  const order = randomStream(seed, 'bench-inputs').shuffle([...texts]);
  let taken = 0;
  const next = () => order[taken++ % order.length] as string;
  const row = () => {
    let text = next();
    while (wordCount(text) < length) text += ` ${next()}`;
    // Nearly every word is a token or more; some characters are none, so this adds words that are.
    for (let i = 0; tokenizer.encode(text, undefined, length).ids.length < length; i++)
      text += ` ${sentences[i % sentences.length]}`;
    return text;
  };
  return Array.from({ length: VARIANTS }, () => Array.from({ length: batch }, row));
}

/** The texts of `measurementTexts` as tensors. */
export function measurementInputs(tokenizer: Tokenizer, options: InputOptions): Inputs[] {
  const { length } = options;
  return measurementTexts(tokenizer, options).map((texts) => {
    const examples = texts.map((text, id) => ({ id, text, label: 0 }));
    const encoded = encodeExamples(tokenizer, examples, length);
    const indices = examples.map(({ id }) => id);
    const { input_ids, attention_mask, token_type_ids } = collate(encoded, { indices, length });
    return { input_ids, attention_mask, token_type_ids };
  });
}

function wordCount(text: string): number {
  return text.split(/\s+/).length;
}

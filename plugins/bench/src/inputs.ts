/** What models read while they are measured: real sentences, joined until every position holds a token. */
import { collate, encodeExamples, randomStream, type Tokenizer } from 'kdx/data';
import type { Tensor } from 'kdx/graph';
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
 * The same texts for every tokenizer.
 * @throws KdxError `invalid-max-length` when the length has no room for a token
 */
export function measurementInputs(tokenizer: Tokenizer, { texts, batch, length, seed }: InputOptions): Inputs[] {
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
  return Array.from({ length: VARIANTS }, () => {
    const examples = Array.from({ length: batch }, (_, id) => ({ id, text: row(), label: 0 }));
    const encoded = encodeExamples(tokenizer, examples, length);
    const { input_ids, attention_mask, token_type_ids } = collate(encoded, {
      indices: examples.map(({ id }) => id),
      length,
    });
    return { input_ids, attention_mask, token_type_ids };
  });
}

function wordCount(text: string): number {
  return text.split(/\s+/).length;
}

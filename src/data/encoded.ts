/** Encoded examples: the token ids of a whole data set in flat arrays. */
import type { Example } from './task-data.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface EncodedExamples {
  readonly count: number;
  /** Token ids of all examples one after the other. */
  readonly ids: Int32Array;
  /** Segment (0 or 1) of each token. */
  readonly typeIds: Uint8Array;
  /** Example i has the tokens from offsets[i] to offsets[i + 1]; count + 1 elements. */
  readonly offsets: Int32Array;
  /** Label id, or value for regression. */
  readonly labels: Float64Array;
  readonly padId: number;
}

/**
 * Tokenizes examples in order, at most `maxLength` tokens each.
 * @throws KdxError `invalid-max-length`
 */
export function encodeExamples(tokenizer: Tokenizer, examples: readonly Example[], maxLength: number): EncodedExamples {
  const encodings = examples.map(({ text, pair }) => tokenizer.encode(text, pair, maxLength));
  const offsets = new Int32Array(examples.length + 1);
  for (const [i, { ids }] of encodings.entries()) offsets[i + 1] = (offsets[i] as number) + ids.length;
  const total = offsets[examples.length] as number;
  const ids = new Int32Array(total);
  const typeIds = new Uint8Array(total);
  for (const [i, encoding] of encodings.entries()) {
    ids.set(encoding.ids, offsets[i]);
    typeIds.set(encoding.typeIds, offsets[i]);
  }
  const labels = Float64Array.from(examples, ({ label }) => label);
  return { count: examples.length, ids, typeIds, offsets, labels, padId: tokenizer.padId };
}

/** Tokens of each example, special tokens included. */
export function encodedLengths({ count, offsets }: EncodedExamples): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (offsets[i + 1] as number) - (offsets[i] as number));
}

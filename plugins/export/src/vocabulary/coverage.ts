/** How often tokens occur in texts, and how much of the texts a smaller vocabulary leaves as it was. */
import type { Example, Tokenizer } from 'kdx/data';

export type CorpusText = Pick<Example, 'text' | 'pair'>;

export interface Coverage {
  /** Absent for a corpus that is given as counts. */
  readonly texts?: {
    readonly total: number;
    /** Those that the new tokenizer gives the same tokens. */
    readonly unchanged: number;
  };
  /** Occurrences of tokens, without the special ones around a text. */
  readonly tokens: {
    readonly total: number;
    /** Of tokens that are kept. */
    readonly kept: number;
  };
}

/** Ids of the tokens of each text; those of the special tokens around it are left out. */
export function tokenize(tokenizer: Tokenizer, texts: readonly CorpusText[]): Uint32Array[] {
  const { clsId, sepId } = tokenizer;
  return texts.map(({ text, pair }) =>
    Uint32Array.from(tokenizer.encode(text, pair, Infinity).ids.filter((id) => id !== clsId && id !== sepId)),
  );
}

/** Occurrences by id. */
export function countTokens(tokenized: readonly Uint32Array[], vocabSize: number): Float64Array {
  const counts = new Float64Array(vocabSize);
  for (const ids of tokenized) for (const id of ids) counts[id] = (counts[id] as number) + 1;
  return counts;
}

export function countCoverage(counts: ArrayLike<number>, newIds: ReadonlyMap<number, number>): Coverage['tokens'] {
  let total = 0;
  let kept = 0;
  for (let id = 0; id < counts.length; id++) {
    total += counts[id] as number;
    if (newIds.has(id)) kept += counts[id] as number;
  }
  return { total, kept };
}

/**
 * @param tokenized the texts by the old tokenizer
 * @param after the new tokenizer
 */
export function coverage(
  texts: readonly CorpusText[],
  tokenized: readonly Uint32Array[],
  { unkId }: Tokenizer,
  after: Tokenizer,
  newIds: ReadonlyMap<number, number>,
): Coverage {
  let unchanged = 0;
  let total = 0;
  let kept = 0;
  tokenized.forEach((ids, i) => {
    const found = ids.reduce((count, id) => count + (newIds.has(id) ? 1 : 0), 0);
    total += ids.length;
    kept += found;
    if (found < ids.length) return;
    // The longest piece that fits is taken, so kept pieces are found again; only a word that had no pieces may get some.
    if (!ids.includes(unkId)) unchanged++;
    else {
      const again = tokenize(after, [texts[i] as CorpusText])[0] as Uint32Array;
      if (again.length === ids.length && ids.every((id, at) => newIds.get(id) === again[at])) unchanged++;
    }
  });
  return { texts: { total: texts.length, unchanged }, tokens: { total, kept } };
}

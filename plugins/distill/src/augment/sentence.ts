/** A text as words, and which of them may be replaced. */
import type { WordTokenizer } from 'kdx/data';

export interface Sentence {
  readonly words: readonly string[];
  /** Positions of the words that may be replaced, ascending. */
  readonly eligible: readonly number[];
}

/**
 * `letters`: only a to z, no stop word (TinyBERT's code). `words`: letters of any script, no stop word.
 * `all`: whatever holds a letter or a digit (Algorithm 1 of the paper).
 */
export type Eligibility = 'letters' | 'words' | 'all';

type Rule = (lowerCase: string, stopWords: ReadonlySet<string>) => boolean;

const rules: Readonly<Record<Eligibility, Rule>> = {
  letters: (word, stopWords) => /^[a-z]+$/.test(word) && !stopWords.has(word),
  words: (word, stopWords) => /^\p{L}[\p{L}\p{M}]*$/u.test(word) && !stopWords.has(word),
  all: isWord,
};

/** No punctuation mark, no symbol. */
export function isWord(token: string): boolean {
  return /[\p{L}\p{N}]/u.test(token);
}

export function sentenceReader(
  tokenizer: Pick<WordTokenizer, 'words'>,
  eligibility: Eligibility,
  stopWords: ReadonlySet<string>,
): (text: string) => Sentence {
  const rule = rules[eligibility];
  return (text) => {
    const words = tokenizer.words(text);
    return { words, eligible: [...words.keys()].filter((i) => rule((words[i] as string).toLowerCase(), stopWords)) };
  };
}

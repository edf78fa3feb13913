/** Truncation of one text or a pair, as the fast tokenizers of Hugging Face do (`longest_first`, right side). */

/**
 * How many tokens of each text are kept when both together may have `budget`: a text shorter than half keeps all of
 * its tokens, otherwise both get half and the longer one (the second, among equals) the odd token.
 */
export function longestFirst(first: number, second: number, budget: number): readonly [number, number] {
  if (first + second <= budget) return [first, second];
  const half = Math.floor(budget / 2);
  const shorter = Math.min(first, second, half);
  return first > second ? [budget - shorter, shorter] : [shorter, budget - shorter];
}

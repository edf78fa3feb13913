/** How one variant of a sentence is made: TinyBERT's word replacement. */
import type { Random } from 'kdx/data';
import type { Candidates } from './candidates.ts';
import type { Sentence } from './sentence.ts';

/** Words of one variant. `number` counts the variants of a sentence from 0. */
export type VariantMaker = (sentence: Sentence, candidates: Candidates, random: Random, number: number) => string[];

/** Every word that has candidates is replaced with the probability by one of them, drawn uniformly (Algorithm 1). */
export function replacement(probability: number): VariantMaker {
  return ({ words }, candidates, random) =>
    words.map((word, i) => {
      const options = candidates[i] as readonly string[];
      if (options.length === 0) return word;
      const other = options[random.int(options.length)] as string;
      return random.nextFloat() < probability ? other : word;
    });
}

/** From an example to its rows: the original, then distinct variants. */
import { randomStream, type Example } from 'kdx/data';
import type { Candidates } from './candidates.ts';
import type { VariantMaker } from './replacement.ts';
import type { Sentence } from './sentence.ts';

export type MethodName = 'tinybert' | 'eda';

export interface AugmentedRow {
  readonly text: string;
  readonly pair?: string;
  /** Id, or value of a regression. */
  readonly label: number;
  readonly origin: 'original' | MethodName;
  /** `id` of the example. */
  readonly source: number;
}

/** One text of an example with what may replace its words. */
export interface Side {
  readonly sentence: Sentence;
  readonly candidates: Candidates;
}

export interface VariantPlan {
  readonly method: MethodName;
  readonly make: VariantMaker;
  /** Draws per text; as many variants at most. */
  readonly variants: number;
  readonly seed: number;
}

/**
 * Variants are words joined by spaces, different from each other and from the original's words. Of a pair, the first text
 * is varied beside the second as written, then the second beside the first as written. What is drawn depends on the seed,
 * the example, the text and the number of the draw alone.
 */
export function rowsOf(example: Example, sides: readonly Side[], plan: VariantPlan): AugmentedRow[] {
  const { id, text, pair, label } = example;
  const row = (origin: AugmentedRow['origin'], first: string, second: string | undefined): AugmentedRow => ({
    text: first,
    ...(second !== undefined && { pair: second }),
    label,
    origin,
    source: id,
  });
  const rows = [row('original', text, pair)];
  for (const [index, side] of sides.entries())
    for (const variant of variantsOf(side, id, index, plan))
      rows.push(index === 0 ? row(plan.method, variant, pair) : row(plan.method, text, variant));
  return rows;
}

function variantsOf({ sentence, candidates }: Side, id: number, side: number, plan: VariantPlan): string[] {
  const original = sentence.words.join(' ');
  const found = new Set<string>([original]);
  for (let number = 0; number < plan.variants; number++) {
    const random = randomStream(plan.seed, 'augment', id, side, number);
    found.add(plan.make(sentence, candidates, random, number).join(' '));
  }
  found.delete(original);
  return [...found];
}

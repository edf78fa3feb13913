/**
 * Easy data augmentation (Wei and Zou, EMNLP 2019): synonym replacement, random insertion, random swap, random deletion.
 * Candidates stand in for WordNet's synonyms. Punctuation is neither counted, moved nor deleted.
 */
import type { Random } from 'kdx/data';
import type { Candidates } from './candidates.ts';
import type { VariantMaker } from './replacement.ts';
import { isWord, type Sentence } from './sentence.ts';

interface Material {
  readonly sentence: Sentence;
  /** By position, without the word itself. */
  readonly synonyms: Candidates;
  /** Positions of words, eligible or not. */
  readonly places: readonly number[];
  readonly random: Random;
}

/** @param amount share of the words that are changed, or the probability of deletion */
type Operation = (material: Material, amount: number) => string[];

const operations: readonly Operation[] = [replaceSynonyms, insertRandomly, swapRandomly, deleteRandomly];

/** The operations take turns, so each makes a quarter of the variants. */
export function easyAugmentation(alpha: number): VariantMaker {
  return (sentence, candidates, random, number) => {
    const { words } = sentence;
    const synonyms = candidates.map((options, i) => options.filter((option) => option !== words[i]));
    const places = [...words.keys()].filter((i) => isWord(words[i] as string));
    if (places.length === 0) return [...words];
    const operation = operations[number % operations.length] as Operation;
    return operation({ sentence, synonyms, places, random }, alpha);
  };
}

/** n = max(1, ⌊α·l⌋) */
function changes({ places }: Material, alpha: number): number {
  return Math.max(1, Math.floor(alpha * places.length));
}

/** n different words, each at all its places, by one synonym. */
function replaceSynonyms(material: Material, alpha: number): string[] {
  const { sentence, synonyms, random } = material;
  const { words } = sentence;
  const first = new Map<string, number>();
  for (const [i, word] of words.entries())
    if ((synonyms[i] as readonly string[]).length > 0 && !first.has(word)) first.set(word, i);
  const chosen = new Map<string, string>();
  for (const [word, i] of random.shuffle([...first]).slice(0, changes(material, alpha)))
    chosen.set(word, pick(synonyms[i] as readonly string[], random));
  return words.map((word) => chosen.get(word) ?? word);
}

/** n synonyms of random words, each at a random place. */
function insertRandomly(material: Material, alpha: number): string[] {
  const { sentence, synonyms, random } = material;
  const result = [...sentence.words];
  const sources = synonyms.filter((options) => options.length > 0);
  if (sources.length === 0) return result;
  for (let i = 0; i < changes(material, alpha); i++)
    result.splice(random.int(result.length + 1), 0, pick(pick(sources, random), random));
  return result;
}

/** n times two words change places. */
function swapRandomly(material: Material, alpha: number): string[] {
  const { sentence, places, random } = material;
  const result = [...sentence.words];
  if (places.length < 2) return result;
  for (let i = 0; i < changes(material, alpha); i++) {
    const first = random.int(places.length);
    const second = (first + 1 + random.int(places.length - 1)) % places.length;
    const [a, b] = [places[first] as number, places[second] as number];
    [result[a], result[b]] = [result[b] as string, result[a] as string];
  }
  return result;
}

/** Each word goes with probability α; where all would, one stays. */
function deleteRandomly({ sentence, places, random }: Material, alpha: number): string[] {
  const deleted = new Set(places.filter(() => random.nextFloat() < alpha));
  if (deleted.size === places.length) deleted.delete(pick(places, random));
  return sentence.words.filter((_, i) => !deleted.has(i));
}

function pick<T>(values: readonly T[], random: Random): T {
  return values[random.int(values.length)] as T;
}

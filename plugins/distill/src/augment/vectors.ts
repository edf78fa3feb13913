/** Word vectors, and the words nearest to a word. */
import { largest } from './largest.ts';

export interface WordVectors {
  readonly words: readonly string[];
  /** Rows of unit length (or 0), row-major: [words, dimensions]. */
  readonly matrix: Float32Array;
  readonly dimensions: number;
}

/** The nearest words by cosine, the nearest first, without the word itself; none for a word without a vector. */
export type Neighbours = (word: string) => readonly string[];

/** Brings every row to length 1, in place; rows of zeros stay. */
export function normalizeRows(matrix: Float32Array, dimensions: number): void {
  for (let start = 0; start < matrix.length; start += dimensions) {
    const row = matrix.subarray(start, start + dimensions);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (length > 0) for (let i = 0; i < dimensions; i++) row[i] = (row[i] as number) / length;
  }
}

/**
 * Neighbours within the vectors themselves. A capitalized word that has no vector is looked up in lower case, and the
 * neighbours of a capitalized word are capitalized. What was found is kept: at most one entry per vector and case.
 */
export function nearestWords({ words, matrix, dimensions }: WordVectors, count: number): Neighbours {
  const rows = new Map<string, number>();
  for (const [row, word] of words.entries()) if (!rows.has(word)) rows.set(word, row);
  const scores = new Float32Array(words.length);
  const known = new Map<string, readonly string[]>();

  const search = (word: string, row: number): readonly string[] => {
    const query = matrix.subarray(row * dimensions, (row + 1) * dimensions);
    if (query.every((value) => value === 0)) return [];
    cosines(matrix, query, scores);
    scores[row] = -Infinity;
    const found = largest(scores, count).map((i) => words[i] as string);
    const cased = isCapitalized(word) ? found.map(capitalize) : found;
    return [...new Set(cased)].filter((other) => other !== word);
  };

  return (word) => {
    const row = rows.get(word) ?? (isCapitalized(word) ? rows.get(word.toLowerCase()) : undefined);
    if (row === undefined) return [];
    const found = known.get(word) ?? search(word, row);
    known.set(word, found);
    return found;
  };
}

/** target[i] = row i of the matrix · query, summed in float64. */
function cosines(matrix: Float32Array, query: Float32Array, target: Float32Array): void {
  const size = query.length;
  for (let i = 0, at = 0; i < target.length; i++) {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += (matrix[at++] as number) * (query[j] as number);
    target[i] = sum;
  }
}

/** As `Paris`: an upper-case letter, then lower-case ones. */
function isCapitalized(word: string): boolean {
  return /^\p{Lu}\p{Ll}*$/u.test(word);
}

function capitalize(word: string): string {
  const [first = ''] = word;
  return first.toUpperCase() + word.slice(first.length);
}

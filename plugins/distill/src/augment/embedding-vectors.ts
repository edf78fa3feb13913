/** A model's own word embeddings as word vectors. */
import type { Checkpoint } from 'kdx/checkpoint';
import type { Tokenizer } from 'kdx/data';
import { internal } from 'kdx/errors';
import { isWord } from './sentence.ts';
import { normalizeRows, type WordVectors } from './vectors.ts';

/** Rows of whole words: no continuing pieces, no special or unused tokens, no punctuation. */
export function embeddingVectors({ weights }: Pick<Checkpoint, 'weights'>, { tokens }: Tokenizer): WordVectors {
  const table = weights.get('bert.embeddings.word_embeddings.weight');
  if (table === undefined) throw internal('a checkpoint has word embeddings');
  const dimensions = table.dims[1] as number;
  const ids = [...tokens.keys()].filter((id) => isWholeWord(tokens[id] ?? ''));
  const matrix = new Float32Array(ids.length * dimensions);
  for (const [row, id] of ids.entries())
    matrix.set(table.data.subarray(id * dimensions, (id + 1) * dimensions), row * dimensions);
  normalizeRows(matrix, dimensions);
  return { words: ids.map((id) => tokens[id] as string), matrix, dimensions };
}

/** A token that can stand in a text as a word of its own. */
export function isWholeWord(token: string): boolean {
  return !token.startsWith('##') && !/^\[.+\]$/.test(token) && isWord(token);
}

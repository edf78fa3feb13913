/** Word vectors in the text format of GloVe: a word and its numbers on each line. */
import { KdxError } from 'kdx/errors';
import { sha256 } from 'kdx/files';
import { bytesOf } from 'kdx/graph';
import { textLines } from './text-lines.ts';
import { normalizeRows, type WordVectors } from './vectors.ts';

export interface VectorFile extends WordVectors {
  /** SHA-256 over the words and vectors that were read. */
  readonly hash: string;
}

/** Lines that decide how many numbers a vector has. */
const lookAhead = 10;

interface Row {
  readonly fields: readonly string[];
  readonly line: number;
}

/**
 * The first `limit` rows of a file; of a word that occurs twice, the first. Fields are separated by spaces or tabs. A word
 * may hold spaces: the last D fields of a line are the vector, D being the smallest count of numbers in the first lines.
 * A first line of two whole numbers (fastText, word2vec) gives the counts of words and numbers.
 * @throws KdxError `invalid-vectors` with file and line, `not-a-text-file`, `file-not-found`, ...
 */
export async function readVectorFile(path: string, limit: number, signal?: AbortSignal): Promise<VectorFile> {
  const head: Row[] = [];
  let reader: RowReader | undefined;
  let line = 0;
  for await (const text of textLines(path)) {
    signal?.throwIfAborted();
    line++;
    const row = { fields: text.replace(/[ \t]+$/, '').split(/[ \t]/), line };
    if (reader === undefined) {
      head.push(row);
      if (head.length <= lookAhead) continue;
      reader = rowReader(path, head, limit);
    } else reader.add(row);
    if (reader.isFull()) break;
  }
  if (head.length === 0) throw invalid(path, 1, 'the file is empty');
  reader ??= rowReader(path, head, limit);
  return reader.finish();
}

interface RowReader {
  add(row: Row): void;
  isFull(): boolean;
  finish(): VectorFile;
}

/** Knows how many numbers a line has, from the first lines, which it takes. */
function rowReader(path: string, head: readonly Row[], limit: number): RowReader {
  const first = (head[0] as Row).fields;
  const hasCounts = first.length === 2 && first.every((field) => /^\d+$/.test(field));
  const rows = hasCounts ? head.slice(1) : head;
  const dimensions = hasCounts
    ? Number(first[1])
    : Math.min(...rows.filter((row) => !isEmpty(row)).map(({ fields }) => fields.length)) - 1;
  if (!(dimensions >= 1 && Number.isFinite(dimensions)))
    throw invalid(path, (head[0] as Row).line, 'a word and its numbers are expected, separated by spaces');

  const words: string[] = [];
  const seen = new Set<string>();
  const blocks: Float32Array[] = [];
  let taken = 0;
  let empty: number | undefined;
  const reader: RowReader = {
    add(row) {
      if (isEmpty(row)) {
        empty ??= row.line;
        return;
      }
      if (empty !== undefined) throw invalid(path, empty, 'the line is empty');
      const { word, vector } = parseRow(path, row, dimensions);
      taken++;
      if (seen.has(word) || word.trim() === '') return;
      seen.add(word);
      words.push(word);
      blocks.push(vector);
    },
    isFull: () => taken >= limit,
    finish() {
      if (words.length === 0) throw invalid(path, 1, 'there is no vector in this file');
      const matrix = new Float32Array(words.length * dimensions);
      for (const [i, vector] of blocks.entries()) matrix.set(vector, i * dimensions);
      blocks.length = 0;
      normalizeRows(matrix, dimensions);
      const content = bytesOf({ dtype: 'float32', dims: [words.length, dimensions], data: matrix });
      return { words, matrix, dimensions, hash: sha256(words.join('\n'), '\n', content) };
    },
  };
  for (const row of rows) if (!reader.isFull()) reader.add(row);
  return reader;
}

function isEmpty({ fields }: Row): boolean {
  return fields.length === 1 && fields[0] === '';
}

function parseRow(path: string, { fields, line }: Row, dimensions: number): { word: string; vector: Float32Array } {
  const found = fields.length - 1;
  if (found < dimensions) throw invalid(path, line, `${dimensions} numbers expected after the word, found ${found}`);
  const word = fields.slice(0, -dimensions).join(' ');
  const vector = new Float32Array(dimensions);
  for (const [i, field] of fields.slice(-dimensions).entries()) {
    const value = field === '' ? NaN : Number(field);
    if (!Number.isFinite(value)) throw invalid(path, line, `"${field}" is not a number`);
    vector[i] = value;
  }
  return { word, vector };
}

function invalid(path: string, line: number, message: string): KdxError {
  return new KdxError('invalid-vectors', `${path}:${line}: ${message}`, {
    suggestions: ['--vectors with a text file of GloVe or fastText: on each line a word and its numbers'],
  });
}

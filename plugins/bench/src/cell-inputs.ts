/** What the models of one cell read: the same texts for all, random ids of the same lengths where texts mean nothing. */
import { randomStream, type Random, type Tokenizer } from 'kdx/data';
import { tensorOf } from 'kdx/graph';
import { mean, measurementTexts, quantile } from 'kdx/timing';
import type { ModelInput } from './bench-source.ts';
import { feedsOf, textFeeds, type Feeds } from './feeds.ts';
import type { Length, LengthSummary } from './grid.ts';
import type { Row } from './stopwatch-messages.ts';

/** Of a model, what decides about its inputs. */
export interface Reader {
  readonly inputs: readonly ModelInput[];
  readonly tokenizer: Tokenizer | undefined;
  /** Ids that random inputs may have. */
  readonly vocabulary: number;
  readonly maxPositions: number | undefined;
}

export interface CellInputOptions {
  readonly examples: readonly Row[];
  readonly batch: number;
  readonly length: Length;
  /** Longer examples of a natural length are cut to so many tokens. */
  readonly maxLength: number;
  readonly seed: number;
}

export interface ReaderInputs {
  /** Take turns. */
  readonly feeds: readonly Feeds[];
  /** The texts behind them; undefined for random ids. */
  readonly rows: readonly (readonly Row[])[] | undefined;
  /** To which they are cut. */
  readonly maxLength: number;
}

export interface CellInputs {
  /** In the order of the readers. */
  readonly readers: readonly ReaderInputs[];
  readonly lengths: LengthSummary | null;
}

/** Batches of natural length: as many as there are, within these bounds. */
const LEAST_BATCHES = 8;
const MOST_BATCHES = 256;

/** @throws KdxError `invalid-max-length` */
export function cellInputs(readers: readonly Reader[], options: CellInputOptions): CellInputs {
  return options.length === 'natural' ? naturalInputs(readers, options) : fixedInputs(readers, options.length, options);
}

function fixedInputs(
  readers: readonly Reader[],
  length: number,
  { examples, batch, seed }: CellInputOptions,
): CellInputs {
  const texts = examples.flatMap(({ text, pair }) => (pair === undefined ? [text] : [text, pair]));
  const lengths = Array.from({ length: LEAST_BATCHES }, () => new Array<number>(batch).fill(length));
  const inputsOf = (reader: Reader): ReaderInputs => {
    const { tokenizer, inputs } = reader;
    if (!tokenizer) return randomInputs(reader, lengths, seed);
    const rows = measurementTexts(tokenizer, { texts, batch, length, seed }).map((batchTexts) =>
      batchTexts.map((text) => ({ text })),
    );
    return { feeds: rows.map((row) => textFeeds(tokenizer, row, inputs, length)), rows, maxLength: length };
  };
  return { readers: readers.map(inputsOf), lengths: null };
}

/** Every row is an example as it is; a batch is as long as its longest. */
function naturalInputs(readers: readonly Reader[], { examples, batch, maxLength, seed }: CellInputOptions): CellInputs {
  const order = randomStream(seed, 'bench-inputs').shuffle([...examples]);
  const count = Math.min(MOST_BATCHES, Math.max(LEAST_BATCHES, Math.ceil(order.length / batch)));
  const rows = Array.from({ length: count }, (_, i) =>
    Array.from({ length: batch }, (_, row) => order[(i * batch + row) % order.length] as Row),
  );
  const longest = Math.min(maxLength, ...readers.map(({ maxPositions = Infinity }) => maxPositions));
  const counting = readers.find(({ tokenizer }) => tokenizer)?.tokenizer;
  const lengths = rows.map((batchRows) => batchRows.map((row) => rowLength(row, counting, longest)));
  const inputsOf = (reader: Reader): ReaderInputs => {
    const { tokenizer, inputs } = reader;
    if (!tokenizer) return randomInputs(reader, lengths, seed);
    return { feeds: rows.map((row) => textFeeds(tokenizer, row, inputs, longest)), rows, maxLength: longest };
  };
  return { readers: readers.map(inputsOf), lengths: summary(lengths.flat()) };
}

/** Without a tokenizer a word or a punctuation mark counts as a token. */
function rowLength({ text, pair }: Row, tokenizer: Tokenizer | undefined, longest: number): number {
  if (tokenizer) return tokenizer.encode(text, pair, longest).ids.length;
  const words = (part: string) => part.match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu)?.length ?? 0;
  return Math.min(longest, words(text) + 2 + (pair === undefined ? 0 : words(pair) + 1));
}

function summary(lengths: readonly number[]): LengthSummary {
  return {
    mean: mean(lengths),
    p50: quantile(lengths, 0.5),
    p90: quantile(lengths, 0.9),
    max: Math.max(...lengths),
  };
}

function randomInputs(
  { inputs, vocabulary }: Reader,
  lengths: readonly (readonly number[])[],
  seed: number,
): ReaderInputs {
  const random = randomStream(seed, 'bench-ids');
  const feeds = lengths.map((rows) => randomFeeds(inputs, rows, vocabulary, random));
  return { feeds, rows: undefined, maxLength: Math.max(...lengths.flat()) };
}

function randomFeeds(inputs: readonly ModelInput[], rows: readonly number[], vocabulary: number, random: Random) {
  const length = Math.max(...rows);
  const dims = [rows.length, length];
  const fill = (value: (isToken: boolean) => number) =>
    tensorOf(
      'int64',
      dims,
      rows.flatMap((tokens) => Array.from({ length }, (_, i) => value(i < tokens))),
    );
  return feedsOf(inputs, {
    input_ids: fill((isToken) => (isToken ? random.int(vocabulary) : 0)),
    attention_mask: fill(Number),
    token_type_ids: fill(() => 0),
  });
}

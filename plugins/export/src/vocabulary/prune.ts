/** Drops the rows of the word embedding whose tokens do not occur in a corpus, and rewrites the tokenizer to match. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BertConfig, Checkpoint } from 'kdx/checkpoint';
import { loadTokenizer, type Tokenizer } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { byteLength, type Tensor } from 'kdx/graph';
import { countCoverage, countTokens, coverage, tokenize, type CorpusText, type Coverage } from './coverage.ts';
import { readWordPiece, renumbered, rewriteFiles, type WordPiece } from './wordpiece-files.ts';

/** A model and the tokenizer whose ids are its rows. */
export interface Vocabulary {
  readonly config: BertConfig;
  readonly weights: Checkpoint['weights'];
  readonly tokenizer: Tokenizer;
}

/** What the model will be used on, or occurrences by token id. */
export type Corpus = readonly CorpusText[] | { readonly counts: ArrayLike<number> };

export interface PruneOptions {
  /** A token that occurs less often is dropped; default 1. */
  readonly minimumCount?: number;
  /** Tokens, or texts whose tokens, are kept whether they occur or not. */
  readonly keep?: readonly string[];
  /** Texts on which coverage is reported too. */
  readonly dev?: readonly CorpusText[];
}

export interface PruneReport {
  readonly rows: { readonly before: number; readonly after: number };
  /** Of float32 weights. */
  readonly savedBytes: number;
  readonly corpus: Coverage;
  readonly dev?: Coverage;
}

export interface PrunedVocabulary extends Vocabulary {
  /** New id by old id. */
  readonly newIds: ReadonlyMap<number, number>;
  readonly report: PruneReport;
}

/**
 * The same model with fewer tokens. Special and added tokens, single characters (also with the prefix of pieces), and
 * those in `keep` stay; ids are dense, in the old order. A text whose tokens are all kept has the same tokens and, bit for
 * bit, the same logits; other words fall apart into kept pieces. (A word that was unknown may get pieces, if its
 * characters occur only inside longer ones.) The bias of a masked-language head, tied to the embedding, goes with it.
 * @throws KdxError `unsupported-tokenizer`, `empty-corpus`
 */
export async function pruneVocabulary(
  { config, weights, tokenizer }: Vocabulary,
  corpus: Corpus,
  options: PruneOptions = {},
): Promise<PrunedVocabulary> {
  const wordPiece = readWordPiece(tokenizer);
  const tokenized = 'counts' in corpus ? undefined : tokenize(tokenizer, corpus);
  const counts = 'counts' in corpus ? corpus.counts : countTokens(tokenized as Uint32Array[], tokenizer.vocabSize);
  if (!Array.prototype.some.call(counts, (count: number) => count > 0))
    throw new KdxError('empty-corpus', 'the corpus has no token: nothing says which words are needed', {
      suggestions: ['give the texts that the model is used on, such as its training set'],
    });
  const newIds = keptIds(wordPiece, counts, tokenizer, config, options);
  const after = await rebuilt(rewriteFiles(tokenizer.files, newIds));
  const of = (texts: readonly CorpusText[], ids: readonly Uint32Array[]) =>
    coverage(texts, ids, tokenizer, after, newIds);
  const pruned = pruneWeights(weights, config.vocabSize, newIds);
  return {
    config: pruneConfig(config, newIds),
    weights: pruned.weights,
    tokenizer: after,
    newIds,
    report: {
      rows: { before: config.vocabSize, after: newIds.size },
      savedBytes: pruned.savedBytes,
      corpus: 'counts' in corpus ? { tokens: countCoverage(counts, newIds) } : of(corpus, tokenized as Uint32Array[]),
      ...(options.dev && { dev: of(options.dev, tokenize(tokenizer, options.dev)) }),
    },
  };
}

function keptIds(
  { prefix, ids, named }: WordPiece,
  counts: ArrayLike<number>,
  tokenizer: Tokenizer,
  { padTokenId, raw }: BertConfig,
  { minimumCount = 1, keep = [] }: PruneOptions,
): Map<number, number> {
  const kept = new Set<number>(configIds(padTokenId, raw));
  for (const entry of keep) {
    const id = tokenizer.idOf(entry);
    for (const each of id === undefined ? tokenizer.encode(entry, undefined, Infinity).ids : [id]) kept.add(each);
  }
  for (const [token, id] of ids) {
    const occurs = (counts[id] ?? 0) >= minimumCount;
    if (occurs || named.has(token) || isCharacter(token, prefix)) kept.add(id);
  }
  const known = new Set(ids.values());
  const order = [...kept].filter((id) => known.has(id)).sort((a, b) => a - b);
  return new Map(order.map((id, row) => [id, row]));
}

/** Ids that config.json names. */
function configIds(padTokenId: number, raw: BertConfig['raw']): number[] {
  const named = Object.entries(raw).filter(([key]) => key.endsWith('_token_id'));
  return [padTokenId, ...named.map(([, id]) => id)].filter((id) => typeof id === 'number');
}

/** One code point, at the beginning of a word or inside. */
function isCharacter(token: string, prefix: string): boolean {
  const bare = token.startsWith(prefix) && token !== prefix ? token.slice(prefix.length) : token;
  return [...bare].length === 1;
}

/** Reading the files as any folder's proves that they are a tokenizer. */
async function rebuilt(files: Readonly<Record<string, string>>): Promise<Tokenizer> {
  const dir = await mkdtemp(join(tmpdir(), 'kdx-vocabulary-'));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
    return await loadTokenizer(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function pruneConfig(config: BertConfig, newIds: ReadonlyMap<number, number>): BertConfig {
  const vocabSize = newIds.size;
  const padTokenId = newIds.get(config.padTokenId) ?? 0;
  const raw = { ...renumbered(config.raw, newIds), vocab_size: vocabSize, pad_token_id: padTokenId };
  return { ...config, vocabSize, padTokenId, raw };
}

/** Tensors with a row for each token. */
const tables = ['bert.embeddings.word_embeddings.weight', 'cls.predictions.bias'];

function pruneWeights(
  weights: Checkpoint['weights'],
  vocabSize: number,
  newIds: ReadonlyMap<number, number>,
): { weights: Checkpoint['weights']; savedBytes: number } {
  const pruned = new Map(weights);
  let savedBytes = 0;
  for (const name of tables) {
    const table = weights.get(name);
    if (table === undefined) continue;
    const rows = selectRows(table, vocabSize, newIds);
    savedBytes += byteLength('float32', table.dims) - byteLength('float32', rows.dims);
    pruned.set(name, rows);
  }
  return { weights: pruned, savedBytes };
}

/** @param table [vocabSize, ...] */
function selectRows(
  { dims, data }: Tensor<'float32'>,
  vocabSize: number,
  newIds: ReadonlyMap<number, number>,
): Tensor<'float32'> {
  const width = data.length / vocabSize;
  const rows = new Float32Array(newIds.size * width);
  for (const [old, row] of newIds) rows.set(data.subarray(old * width, (old + 1) * width), row * width);
  return { dtype: 'float32', dims: [newIds.size, ...dims.slice(1)], data: rows };
}

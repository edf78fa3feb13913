/** Where the words that replace others come from: a masked language model, its word embeddings, or word vectors. */
import type { Checkpoint } from 'kdx/checkpoint';
import type { Tokenizer, WordTokenizer } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { embeddingVectors } from './embedding-vectors.ts';
import { maskedLmModel, maskedRow, maskedWords, type MaskedRow, type RowLayout, type Visibility } from './masked-lm.ts';
import type { Sentence } from './sentence.ts';
import { nearestWords, type Neighbours, type WordVectors } from './vectors.ts';

/** For each word of a sentence those that may replace it; none where it stays. */
export type Candidates = readonly (readonly string[])[];

export type CandidateKind = 'masked-lm' | 'embeddings' | 'vectors';

export interface CandidateSource {
  readonly kind: CandidateKind;
  /** For each sentence, by its original words. */
  find(sentences: readonly Sentence[], signal?: AbortSignal): Promise<Candidates[]>;
  release(): Promise<void>;
}

export interface CandidateOptions {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly words: WordTokenizer;
  readonly engine: Engine;
  readonly vectors?: WordVectors | undefined;
  /** Candidates per word at most. */
  readonly count: number;
  readonly visible: Visibility;
  /** Rows per run of the masked language model. */
  readonly batch: number;
}

/**
 * A masked language model takes the words of one piece and leaves the others to the vectors. Without its head, all words
 * are looked up in the vectors, if there are any, else words of one piece in the model's embeddings.
 */
export async function openCandidates(options: CandidateOptions): Promise<CandidateSource> {
  const { checkpoint, tokenizer, vectors, count } = options;
  const near = vectors && nearestWords(vectors, count);
  if (checkpoint.hasMaskedLmHead && tokenizer.maskId !== undefined)
    return maskedLmSource(options, tokenizer.maskId, near ?? (() => []));
  return near
    ? neighbourSource('vectors', near)
    : neighbourSource('embeddings', nearestWords(embeddingVectors(checkpoint, tokenizer), count));
}

function neighbourSource(kind: CandidateKind, near: Neighbours): CandidateSource {
  return {
    kind,
    find: (sentences) => Promise.resolve(sentences.map((sentence) => forEligible(sentence, near))),
    release: () => Promise.resolve(),
  };
}

function forEligible({ words, eligible }: Sentence, near: Neighbours): Candidates {
  const positions = new Set(eligible);
  return words.map((word, i) => (positions.has(i) ? near(word) : []));
}

async function maskedLmSource(options: CandidateOptions, maskId: number, near: Neighbours): Promise<CandidateSource> {
  const { checkpoint, tokenizer, words, engine, visible } = options;
  const session = await engine.createSession(maskedLmModel(checkpoint), { name: 'masked language model' });
  const maxLength = Math.min(checkpoint.config.maxPositions, tokenizer.modelMaxLength ?? Infinity);
  const secondType = checkpoint.config.typeVocabSize > 1 ? 1 : 0;
  const layout: RowLayout = { ...tokenizer, maskId, visible, secondType, maxLength };

  return {
    kind: 'masked-lm',
    async find(sentences, signal) {
      const found = sentences.map((sentence): (readonly string[])[] => sentence.words.map(() => []));
      const rows: MaskedRow[] = [];
      const places: { readonly sentence: number; readonly word: number }[] = [];
      for (const [index, { words: texts, eligible }] of sentences.entries()) {
        const pieces = texts.map((text) => words.pieces(text));
        for (const word of eligible) {
          if (!isOnePiece(pieces[word] as readonly number[], tokenizer)) {
            (found[index] as (readonly string[])[])[word] = near(texts[word] as string);
            continue;
          }
          const row = maskedRow(pieces, word, layout);
          if (row === undefined) continue;
          rows.push(row);
          places.push({ sentence: index, word });
        }
      }
      const candidates = await maskedWords(session, tokenizer, rows, { ...options, maxLength, signal });
      for (const [i, { sentence, word }] of places.entries())
        (found[sentence] as (readonly string[])[])[word] = candidates[i] as string[];
      return found;
    },
    release: () => session.release(),
  };
}

/** A word that the vocabulary does not know at all is none. */
function isOnePiece(pieces: readonly number[], { unkId }: Tokenizer): boolean {
  return pieces.length === 1 && pieces[0] !== unkId;
}

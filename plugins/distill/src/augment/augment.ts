/** kdx augment as a function: a training file with variants of every example. */
import { loadCheckpoint } from 'kdx/checkpoint';
import { checkVocabulary } from 'kdx/classifier';
import { datasetHash, loadTokenizer, wordTokenizer, type Example, type TaskData } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { sha256 } from 'kdx/files';
import type { Progress } from 'kdx/progress';
import { weightsHash } from '../teacher.ts';
import { openCandidates, type CandidateKind, type Candidates, type CandidateSource } from './candidates.ts';
import type { ColumnNames } from './columns.ts';
import { easyAugmentation } from './eda.ts';
import type { Visibility } from './masked-lm.ts';
import { openPartialFile, refuseExisting } from './partial-file.ts';
import { replacement } from './replacement.ts';
import { rowFormat, type RowFormat } from './row-format.ts';
import { rowsOf, type MethodName, type VariantPlan } from './rows.ts';
import { sentenceReader, type Eligibility, type Sentence } from './sentence.ts';
import { englishStopWords, readStopWords } from './stop-words.ts';
import { readVectorFile } from './vector-file.ts';

/** What decides about the rows, beside the inputs. */
export interface AugmentRecipe {
  readonly method: MethodName;
  /** Draws per text. */
  readonly variants: number;
  /** Candidates per word at most: K. */
  readonly candidates: number;
  /** Of replacing a word, method tinybert. */
  readonly probability: number;
  /** Share of changed words, method eda. */
  readonly edaAlpha: number;
  readonly eligible: Eligibility;
  readonly visible: Visibility;
  /** Rows of the vector file that are read. */
  readonly vectorsLimit: number;
  /** Sequences per run of the masked language model. */
  readonly batch: number;
  readonly seed: number;
}

/** Variants per text, by method: the paper's, and those of EDA's code. */
export const defaultVariants: Readonly<Record<MethodName, number>> = { tinybert: 20, eda: 9 };

/** The paper's values (K = 15, p = 0.4); α of EDA. */
export const defaultRecipe: Omit<AugmentRecipe, 'variants'> = {
  method: 'tinybert',
  candidates: 15,
  probability: 0.4,
  edaAlpha: 0.1,
  eligible: 'letters',
  visible: 'original',
  vectorsLimit: 100_000,
  batch: 32,
  seed: 42,
};

export interface AugmentOptions {
  /** Checkpoint folder or hub id: a masked language model, or any BERT with --vectors or for its embeddings. */
  readonly model: string;
  /** Only `task` and `train` are used. */
  readonly data: Pick<TaskData, 'task' | 'train'>;
  readonly out: string;
  readonly recipe: AugmentRecipe;
  readonly vectors?: string | undefined;
  /** Default: English function words. */
  readonly stopWords?: string | undefined;
  /** Default: text, pair, label. */
  readonly columns?: ColumnNames | undefined;
  readonly resume: boolean;
  readonly engine: Engine;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface AugmentResult {
  readonly out: string;
  readonly task: string;
  readonly method: MethodName;
  readonly candidates: CandidateKind;
  readonly examples: number;
  /** Originals and variants. */
  readonly rows: number;
  /** Examples that got no variant. */
  readonly withoutVariants: number;
}

/** Counts of what is written. */
type Counts = { readonly examples: number; readonly rows: number; readonly withoutVariants: number };

/** Examples whose candidates are looked up together and written together. Another size would change the batches. */
const PART = 32;

/** Raise when the same recipe and inputs give other rows. */
const FORMAT = 1;

/**
 * Writes the augmented training set; nothing is under `out` before it is whole.
 * @throws KdxError `output-exists`, `run-exists`, `run-mismatch`, `run-locked`, `unknown-data-format`, `unwritable-text`,
 *   `invalid-vectors`, `invalid-stop-words`, `unsupported-tokenizer`, and those of loading the model
 */
export async function augment(options: AugmentOptions): Promise<AugmentResult> {
  const { model, data, out, recipe, engine, progress, signal } = options;
  const { task, train } = data;
  await refuseExisting(out);
  const format = rowFormat(out, task, options.columns);
  format.check(train);
  const stopWords = options.stopWords === undefined ? englishStopWords : await readStopWords(options.stopWords);
  const checkpoint = await loadCheckpoint(model);
  const tokenizer = await loadTokenizer(checkpoint.dir);
  checkVocabulary(tokenizer, checkpoint.config, model);
  const words = wordTokenizer(tokenizer);
  const vectors = options.vectors && (await readVectorFile(options.vectors, recipe.vectorsLimit, signal));
  const given = { checkpoint, tokenizer, words, engine, vectors: vectors || undefined };
  const { candidates: count, visible, batch } = recipe;
  const source = await openCandidates({ ...given, count, visible, batch });
  try {
    const file = await openPartialFile<Counts>(out, {
      command: 'augment',
      recipe: { format: FORMAT, columns: { ...options.columns }, ...recipe },
      inputs: {
        model: sha256(weightsHash(checkpoint.weights), JSON.stringify(checkpoint.config.raw)),
        tokenizer: tokenizer.hash,
        train: sha256(datasetHash(train), JSON.stringify([task.kind, task.labels])),
        stopWords: sha256([...stopWords].sort().join('\n')),
        ...(vectors && { vectors: vectors.hash }),
      },
      seed: recipe.seed,
      device: engine.device.description,
      resume: options.resume,
    });
    try {
      for (const warning of file.warnings) progress.message(`warning: ${warning}`);
      const read = sentenceReader(words, recipe.eligible, stopWords);
      const { method, variants, seed, probability, edaAlpha } = recipe;
      const make = method === 'eda' ? easyAugmentation(edaAlpha) : replacement(probability);
      const part = partMaker({ read, source, plan: { method, make, variants, seed }, format, signal });
      let counts = file.state ?? { examples: 0, rows: 0, withoutVariants: 0 };
      progress.start('augmenting', train.length, counts.examples);
      while (counts.examples < train.length) {
        signal.throwIfAborted();
        const { text, ...more } = await part(train.slice(counts.examples, counts.examples + PART));
        const isFirst = counts.examples === 0;
        counts = added(counts, more);
        await file.append(isFirst ? format.header + text : text, counts);
        progress.update(counts.examples, { rows: counts.rows });
      }
      await file.finish();
      progress.end();
      return { out, task: task.name, method, candidates: source.kind, ...counts };
    } finally {
      await file.close();
    }
  } finally {
    await source.release();
  }
}

function added(a: Counts, b: Counts): Counts {
  return {
    examples: a.examples + b.examples,
    rows: a.rows + b.rows,
    withoutVariants: a.withoutVariants + b.withoutVariants,
  };
}

interface PartOptions {
  readonly read: (text: string) => Sentence;
  readonly source: CandidateSource;
  readonly plan: VariantPlan;
  readonly format: RowFormat;
  readonly signal: AbortSignal;
}

/** Lines of a part of the examples. Each different text of it is looked up once. */
function partMaker({ read, source, plan, format, signal }: PartOptions) {
  return async (examples: readonly Example[]): Promise<Counts & { readonly text: string }> => {
    const textsOf = ({ text, pair }: Example) => (pair === undefined ? [text] : [text, pair]);
    const texts = [...new Set(examples.flatMap(textsOf))];
    const sentences = texts.map(read);
    const candidates = await source.find(sentences, signal);
    const sides = new Map(
      texts.map((text, i) => [text, { sentence: sentences[i] as Sentence, candidates: candidates[i] as Candidates }]),
    );
    const groups = examples.map((example) =>
      rowsOf(
        example,
        textsOf(example).flatMap((text) => sides.get(text) ?? []),
        plan,
      ),
    );
    const rows = groups.flat();
    return {
      text: rows.map((row) => format.line(row)).join(''),
      examples: examples.length,
      rows: rows.length,
      withoutVariants: groups.filter((group) => group.length === 1).length,
    };
  };
}

/** Text to token ids, by @huggingface/tokenizers, with truncation of our own. */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { KdxError } from '../errors/index.ts';
import { sha256 } from '../files/index.ts';
import { specialFrame } from './special-frame.ts';
import { preparation } from './preparation.ts';
import { specialToken, type Json, type SpecialToken } from './special-tokens.ts';
import { readTokenizerFiles, vocabularyFiles, type TokenizerFiles } from './tokenizer-files.ts';
import { tokenizerAdvice } from './tokenizer-json.ts';
import { longestFirst } from './truncation.ts';

export interface Encoding {
  readonly ids: number[];
  /** 0 for the first text and its special tokens, 1 for the second. */
  readonly typeIds: number[];
}

export interface Tokenizer {
  /** One more than the largest id: the least number of rows of the word embedding. */
  readonly vocabSize: number;
  readonly padId: number;
  readonly unkId: number;
  readonly clsId: number;
  readonly sepId: number;
  readonly maskId?: number;
  /** Longest input of the model that the files belong to, special tokens included, where they say so. */
  readonly modelMaxLength?: number;
  /** SHA-256 of everything that decides about ids; equal for a vocabulary and the tokenizer.json that says the same. */
  readonly hash: string;
  /** File name to content: what a checkpoint folder with this tokenizer holds. */
  readonly files: Readonly<Record<string, string>>;
  /**
   * Ids of a text or a pair with special tokens, at most `maxLength` of them, cut by `longest_first`. Truncation and
   * padding that tokenizer.json asks for are ignored.
   * @throws KdxError `invalid-max-length` when there is no room for a token beside the special ones
   */
  encode(text: string, pair: string | undefined, maxLength: number): Encoding;
  /** Id of a token of the vocabulary, e.g. `##ing`. */
  idOf(token: string): number | undefined;
  /** Tokens by id; a hole in the ids is undefined. */
  readonly tokens: readonly (string | undefined)[];
}

/**
 * The tokenizer of a checkpoint folder: tokenizer.json (which decides alone), else BERT's vocab.txt, else
 * RoBERTa's vocab.json and merges.txt, with tokenizer_config.json.
 * @throws KdxError `missing-tokenizer`, `invalid-tokenizer`, `invalid-json`, `invalid-vocabulary`
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  const files = await readTokenizerFiles(dir);
  try {
    return createTokenizer(files);
  } catch (error) {
    throw new KdxError('invalid-tokenizer', `the tokenizer in ${dir} cannot be used: ${(error as Error).message}`, {
      suggestions: tokenizerAdvice,
      cause: error,
    });
  }
}

/**
 * BERT's uncased tokenizer with these tokens, the number of each being its id.
 * @throws KdxError `invalid-vocabulary` when a special token is missing
 */
export function tokenizerOfVocabulary(tokens: readonly string[]): Tokenizer {
  return createTokenizer(vocabularyFiles(tokens));
}

/** The library goes through all ids up to the largest one, so that a false one would take minutes. */
const MAX_TOKENS = 2 ** 22;

function createTokenizer({ tokenizer, config, files }: TokenizerFiles): Tokenizer {
  const library = new Library(tokenizer, config);
  const { length } = library.model.vocab;
  if (length > MAX_TOKENS) throw new Error(`its vocabulary has an id of ${length - 1}`);
  const ids = library.get_vocab();
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of ids) if (token !== undefined) tokens[id] = token;
  const prepare = preparation(tokenizer['normalizer'] as Json | null);
  const hasTypes = (tokenizer['post_processor'] as Json | null)?.['type'] !== 'RobertaProcessing';
  const single = specialFrame(library, false, hasTypes);
  const double = specialFrame(library, true, hasTypes);
  const nameOf = (role: SpecialToken) => specialToken(config, role, (name) => ids.get(name) !== undefined);
  const require = (role: SpecialToken) => {
    const token = nameOf(role);
    const id = ids.get(token);
    if (id === undefined) throw new Error(`its vocabulary has no token ${token} (${role})`);
    return id;
  };
  const maskId = ids.get(nameOf('mask_token'));
  const longest = config['model_max_length'];
  const idsOf = (text: string) => library.encode(prepare(text), { add_special_tokens: false }).ids;

  return {
    vocabSize: tokens.length,
    padId: require('pad_token'),
    unkId: require('unk_token'),
    clsId: require('cls_token'),
    sepId: require('sep_token'),
    ...(maskId === undefined ? {} : { maskId }),
    // Transformers writes 1e30 for "no limit".
    ...(typeof longest === 'number' && longest < 1e9 ? { modelMaxLength: longest } : {}),
    hash: tokenizerHash(tokenizer),
    files,
    tokens,
    idOf: (token) => ids.get(token),
    encode(text, pair, maxLength) {
      const frame = pair === undefined ? single : double;
      const budget = maxLength - frame.count;
      if (budget < 1)
        throw new KdxError(
          'invalid-max-length',
          `a length of ${maxLength} has no room for text: ${frame.count} special tokens`,
          { suggestions: [`--max-length ${frame.count + 1} or more`] },
        );
      const first = idsOf(text);
      const second = pair === undefined ? [] : idsOf(pair);
      const [keepFirst, keepSecond] = longestFirst(first.length, second.length, budget);
      return frame.fill(first.slice(0, keepFirst), second.slice(0, keepSecond));
    },
  };
}

const hashedFields = ['added_tokens', 'normalizer', 'pre_tokenizer', 'model', 'post_processor'] as const;

function tokenizerHash(tokenizer: Json): string {
  const parts = hashedFields.map((field) => tokenizer[field] ?? null);
  return sha256(JSON.stringify(parts, (_, value: unknown) => sortKeys(value)));
}

function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

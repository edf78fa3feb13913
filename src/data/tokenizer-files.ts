/** Tokenizer files of a checkpoint folder, as one description whether it has tokenizer.json or only vocab.txt. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';

export type Json = { readonly [key: string]: unknown };

export interface TokenizerFiles {
  /** tokenizer.json, parsed or built. */
  readonly tokenizer: Json;
  /** tokenizer_config.json, or what stands for it. */
  readonly config: Json;
  /** File name to content, for a folder that holds the same tokenizer: read files unchanged, missing ones made. */
  readonly files: Readonly<Record<string, string>>;
}

/** Fields of tokenizer_config.json that name a special token, with what BERT calls it. */
export const specialTokens = {
  unk_token: '[UNK]',
  sep_token: '[SEP]',
  pad_token: '[PAD]',
  cls_token: '[CLS]',
  mask_token: '[MASK]',
} as const;

export type SpecialToken = keyof typeof specialTokens;

/** What to do about tokenizer files that cannot be used. */
export const tokenizerAdvice = ['copy the tokenizer files of the model that this one was made from into the folder'];

/** The token that plays a role; older files write an object instead of a string. */
export function specialToken(config: Json, role: SpecialToken): string {
  const value = config[role];
  const content = typeof value === 'object' && value !== null ? (value as Json)['content'] : value;
  return typeof content === 'string' ? content : specialTokens[role];
}

/** @throws KdxError `missing-tokenizer`, `invalid-json`, `invalid-vocabulary`, `file-not-accessible` */
export async function readTokenizerFiles(dir: string): Promise<TokenizerFiles> {
  const names = ['tokenizer.json', 'tokenizer_config.json', 'vocab.txt', 'special_tokens_map.json'] as const;
  const files: Partial<Record<(typeof names)[number], string>> = {};
  for (const name of names) {
    const content = await readIfPresent(join(dir, name));
    if (content !== undefined) files[name] = content;
  }
  const vocabulary = files['vocab.txt'];
  const configText = files['tokenizer_config.json'];
  const config = configText === undefined ? defaultConfig : parseJson(configText, join(dir, 'tokenizer_config.json'));
  const made = configText === undefined ? { 'tokenizer_config.json': printJson(config) } : {};
  if (files['tokenizer.json'] !== undefined) {
    const tokenizer = parseJson(files['tokenizer.json'], join(dir, 'tokenizer.json'));
    return { tokenizer, config, files: { ...files, ...made } };
  }
  if (vocabulary === undefined)
    throw new KdxError('missing-tokenizer', `${dir} has neither tokenizer.json nor vocab.txt`, {
      suggestions: tokenizerAdvice,
    });
  const tokenizer = wordPieceTokenizer(vocabulary, config, join(dir, 'vocab.txt'));
  return { tokenizer, config, files: { ...files, ...made, 'tokenizer.json': printJson(tokenizer) } };
}

/**
 * What a folder with only a vocab.txt of these tokens would say.
 * @throws KdxError `invalid-vocabulary`
 */
export function vocabularyFiles(tokens: readonly string[]): TokenizerFiles {
  const vocabulary = tokens.map((token) => `${token}\n`).join('');
  const tokenizer = wordPieceTokenizer(vocabulary, defaultConfig, 'the vocabulary');
  const files = { 'tokenizer.json': printJson(tokenizer), 'tokenizer_config.json': printJson(defaultConfig) };
  return { tokenizer, config: defaultConfig, files };
}

const defaultConfig: Json = { ...specialTokens, do_lower_case: true, tokenizer_class: 'BertTokenizer' };

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, path);
  }
}

function parseJson(text: string, path: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new KdxError('invalid-json', `${path} is not JSON: ${(error as Error).message}`, {
      suggestions: tokenizerAdvice,
      cause: error,
    });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new KdxError('invalid-json', `${path} holds no JSON object`, { suggestions: tokenizerAdvice });
}

function printJson(value: Json): string {
  return JSON.stringify(value, undefined, 2) + '\n';
}

/** The tokenizer.json that Transformers makes of a BERT vocab.txt: the line number of a token is its id. */
function wordPieceTokenizer(vocabulary: string, config: Json, path: string): Json {
  const lines = vocabulary.replace(/\r?\n$/, '').split(/\r?\n/);
  const vocab: Record<string, number> = Object.create(null) as Record<string, number>;
  for (const [id, token] of lines.entries()) vocab[token] = id;
  const idOf = (role: SpecialToken) => {
    const token = specialToken(config, role);
    const id = vocab[token];
    if (id === undefined)
      throw new KdxError('invalid-vocabulary', `${path} has no token ${token}`, { suggestions: tokenizerAdvice });
    return { token, id };
  };
  const cls = idOf('cls_token');
  const sep = idOf('sep_token');
  const added = (Object.keys(specialTokens) as SpecialToken[]).filter(
    (role) => role !== 'mask_token' || specialToken(config, role) in vocab,
  );
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const special = (token: string, type_id: number) => ({ SpecialToken: { id: token, type_id } });
  const first = [special(cls.token, 0), { Sequence: { id: 'A', type_id: 0 } }, special(sep.token, 0)];
  const template = ({ token, id }: { token: string; id: number }) => ({ id: token, ids: [id], tokens: [token] });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added
      .map(idOf)
      .sort((a, b) => a.id - b.id)
      .map(({ id, token }) => ({ id, content: token, ...flags })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: config['tokenize_chinese_chars'] !== false,
      strip_accents: typeof config['strip_accents'] === 'boolean' ? config['strip_accents'] : null,
      lowercase: config['do_lower_case'] !== false,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: first,
      pair: [...first, { Sequence: { id: 'B', type_id: 1 } }, special(sep.token, 1)],
      special_tokens: { [cls.token]: template(cls), [sep.token]: template(sep) },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: specialToken(config, 'unk_token'),
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

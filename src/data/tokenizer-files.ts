/** Tokenizer files of a checkpoint folder, as one description whether it has tokenizer.json or only a vocabulary. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { bertTokens, type Json } from './special-tokens.ts';
import { byteLevelTokenizer, tokenizerAdvice, wordPieceTokenizer } from './tokenizer-json.ts';

export interface TokenizerFiles {
  /** tokenizer.json, parsed or built. */
  readonly tokenizer: Json;
  /** tokenizer_config.json, or what stands for it; what it does not say of special tokens is that of special_tokens_map.json. */
  readonly config: Json;
  /** File name to content, for a folder that holds the same tokenizer: read files unchanged, missing ones made. */
  readonly files: Readonly<Record<string, string>>;
}

/** @throws KdxError `missing-tokenizer`, `invalid-json`, `invalid-vocabulary`, `file-not-accessible` */
export async function readTokenizerFiles(dir: string): Promise<TokenizerFiles> {
  const files: Partial<Record<(typeof fileNames)[number], string>> = {};
  for (const name of fileNames) {
    const content = await readIfPresent(join(dir, name));
    if (content !== undefined) files[name] = content;
  }
  const parsed = (name: keyof typeof files) =>
    files[name] === undefined ? undefined : parseJson(files[name], join(dir, name));
  const words = files['vocab.txt'];
  const said = parsed('tokenizer_config.json');
  const given = parsed('tokenizer.json');
  const isBert = words !== undefined || (given?.['model'] as Json | undefined)?.['type'] === 'WordPiece';
  const standIn = isBert ? defaultConfig : {};
  const config = { ...parsed('special_tokens_map.json'), ...(said ?? standIn) };
  const made = said === undefined ? { 'tokenizer_config.json': printJson(config) } : {};
  if (given !== undefined) return { tokenizer: given, config, files: { ...files, ...made } };
  const [pieces, merges] = [parsed('vocab.json'), files['merges.txt']];
  if (words === undefined && (pieces === undefined || merges === undefined))
    throw new KdxError(
      'missing-tokenizer',
      `${dir} has neither tokenizer.json nor vocab.txt, nor vocab.json and merges.txt`,
      {
        suggestions: tokenizerAdvice,
      },
    );
  const tokenizer =
    words === undefined
      ? byteLevelTokenizer(pieces!, merges!, config, join(dir, 'vocab.json'))
      : wordPieceTokenizer(words, config, join(dir, 'vocab.txt'));
  return { tokenizer, config, files: { ...files, ...made, 'tokenizer.json': printJson(tokenizer) } };
}

const fileNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
  'special_tokens_map.json',
] as const;

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

const defaultConfig: Json = {
  ...bertTokens,
  do_lower_case: true,
  tokenizer_class: 'BertTokenizer',
};

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

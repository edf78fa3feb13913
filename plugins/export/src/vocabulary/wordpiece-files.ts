/** The files of a WordPiece tokenizer, read for what they need and rewritten for fewer tokens. */
import type { Tokenizer } from 'kdx/data';
import { KdxError } from 'kdx/errors';

type Json = Readonly<Record<string, unknown>>;

/** What the files say about tokens. */
export interface WordPiece {
  /** Before the pieces that go on with a word, usually `##`. */
  readonly prefix: string;
  /** Ids by token: the vocabulary and the added tokens. */
  readonly ids: ReadonlyMap<string, number>;
  /** Tokens that the files name, such as [CLS] and those of a template. */
  readonly named: ReadonlySet<string>;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const objectOf = (value: unknown): Json => (isObject(value) ? value : {});

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function parse(files: Tokenizer['files'], name: string): Json {
  return objectOf(JSON.parse(files[name] ?? '{}'));
}

/** @throws KdxError `unsupported-tokenizer` */
export function readWordPiece({ files, tokens, padId, unkId, clsId, sepId, maskId }: Tokenizer): WordPiece {
  const json = parse(files, 'tokenizer.json');
  const model = objectOf(json['model']);
  const { type = 'WordPiece', vocab, merges, continuing_subword_prefix: prefix = '##' } = model;
  if (type !== 'WordPiece' || !isObject(vocab) || merges !== undefined || typeof prefix !== 'string')
    throw new KdxError(
      'unsupported-tokenizer',
      `the vocabulary of a ${typeof type === 'string' ? type : 'strange'} tokenizer cannot be pruned, only WordPiece`,
      { suggestions: ['export it without --prune-vocab'] },
    );
  const ids = new Map(Object.entries(vocab as Readonly<Record<string, number>>));
  const named = new Set<string>();
  for (const id of [padId, unkId, clsId, sepId, maskId]) if (id !== undefined) named.add(tokens[id] as string);
  for (const added of listOf(json['added_tokens']).map(objectOf)) {
    ids.set(added['content'] as string, added['id'] as number);
    named.add(added['content'] as string);
  }
  const unknown = model['unk_token'];
  if (typeof unknown === 'string') named.add(unknown);
  for (const id of templateIds(json['post_processor'])) if (tokens[id] !== undefined) named.add(tokens[id]);
  return { prefix, ids, named };
}

function templateIds(processor: unknown): number[] {
  const { special_tokens: special, processors, cls, sep } = objectOf(processor);
  return [
    ...Object.values(objectOf(special)).flatMap((token) => listOf(objectOf(token)['ids'])),
    ...[cls, sep].map((pair) => listOf(pair)[1]),
    ...listOf(processors).flatMap(templateIds),
  ].filter((id) => typeof id === 'number');
}

/**
 * The files with the kept tokens only.
 * @param newIds by old id
 */
export function rewriteFiles(files: Tokenizer['files'], newIds: ReadonlyMap<number, number>): Record<string, string> {
  const rewritten: Record<string, string> = { ...files };
  const json = parse(files, 'tokenizer.json');
  const model = objectOf(json['model']);
  const vocab = Object.entries(model['vocab'] as Readonly<Record<string, number>>)
    .filter(([, id]) => newIds.has(id))
    .sort(([, a], [, b]) => a - b)
    .map(([token, id]) => [token, newIds.get(id) as number] as const);
  rewritten['tokenizer.json'] = print({
    ...json,
    ...(isObject(json['padding']) && { padding: renumbered(json['padding'], newIds) }),
    added_tokens: listOf(json['added_tokens'])
      .map(objectOf)
      .map((token) => ({ ...token, id: newIds.get(token['id'] as number) })),
    post_processor: rewriteProcessor(json['post_processor'], newIds),
    model: { ...model, vocab: Object.fromEntries(vocab) },
  });
  if (files['vocab.txt'] !== undefined) rewritten['vocab.txt'] = vocab.map(([token]) => `${token}\n`).join('');
  if (files['tokenizer_config.json'] !== undefined)
    rewritten['tokenizer_config.json'] = print(rewriteConfig(parse(files, 'tokenizer_config.json'), newIds));
  return rewritten;
}

/** Fields that hold the id of a token. */
const idFields = /^(pad_id|.*_token_id)$/;

/** An object whose ids of tokens are new; one that is not kept becomes null. */
export function renumbered(value: Json, newIds: ReadonlyMap<number, number>): Json {
  const change = (key: string, field: unknown) =>
    typeof field === 'number' && idFields.test(key) ? (newIds.get(field) ?? null) : field;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, change(key, field)]));
}

/** TemplateProcessing has lists of ids, BertProcessing pairs of token and id, Sequence others inside. */
function rewriteProcessor(processor: unknown, newIds: ReadonlyMap<number, number>): unknown {
  if (!isObject(processor)) return processor;
  const result: Record<string, unknown> = { ...processor };
  if (isObject(processor['special_tokens']))
    result['special_tokens'] = Object.fromEntries(
      Object.entries(processor['special_tokens']).map(([name, token]) => {
        const ids = listOf(objectOf(token)['ids']).map((id) => newIds.get(id as number));
        return [name, { ...objectOf(token), ids }];
      }),
    );
  for (const role of ['cls', 'sep']) {
    const pair = processor[role];
    if (Array.isArray(pair)) result[role] = [pair[0], newIds.get(pair[1] as number)];
  }
  if (Array.isArray(processor['processors']))
    result['processors'] = processor['processors'].map((inner) => rewriteProcessor(inner, newIds));
  return result;
}

function rewriteConfig(config: Json, newIds: ReadonlyMap<number, number>): Json {
  const decoder = config['added_tokens_decoder'];
  if (!isObject(decoder)) return renumbered(config, newIds);
  const entries = Object.entries(decoder).flatMap(([id, token]) => {
    const next = newIds.get(Number(id));
    return next === undefined ? [] : [[String(next), token] as const];
  });
  return { ...renumbered(config, newIds), added_tokens_decoder: Object.fromEntries(entries) };
}

function print(json: Json): string {
  return `${JSON.stringify(json, null, 2)}\n`;
}

/** Vocabulary pruning: fewer rows, the same answers where the tokens are the same. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import {
  pruneSource,
  pruneVocabulary,
  readCorpus,
  type PruneOptions,
  type Vocabulary,
} from '../../plugins/export/src/vocabulary/index.ts';
import { configToJson, loadCheckpoint, parseConfig, saveCheckpoint } from '../../src/checkpoint/index.ts';
import { openClassifier, openSource, predict, type ClassifierSource } from '../../src/classifier/index.ts';
import { loadTokenizer, type Tokenizer } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { tensorOf } from '../../src/graph/index.ts';
import {
  temporaryFolder,
  tinyClassifierJson,
  tokenizerFolder,
  writeTinyClassifier,
} from '../support/tiny-classifier.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

const words = 'word_embeddings.weight';
const table = `bert.embeddings.${words}`;
const corpus = [{ text: 'the clever battery is useless' }, { text: 'a noisy screen', pair: 'the screen broke again' }];

async function open(t: TestContext, config: Readonly<Record<string, unknown>> = {}) {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { config });
  const source = await openSource(dir);
  return { ...source, checkpoint: source.checkpoint! };
}

async function vocabulary(t: TestContext): Promise<Vocabulary> {
  const { config, checkpoint, tokenizer } = await open(t);
  return { config, weights: checkpoint.weights, tokenizer };
}

const tokensOf = (tokenizer: Tokenizer, text: string, pair?: string) =>
  tokenizer.encode(text, pair, Infinity).ids.map((id) => tokenizer.tokens[id] as string);

async function answers(source: ClassifierSource, texts: readonly { text: string; pair?: string }[]) {
  const classifier = await openClassifier(source, engine);
  const predictions = await predict(classifier, texts);
  await classifier.release();
  return predictions.map(({ logits }) => logits);
}

interface TokenizerJson {
  readonly model: { vocab: Record<string, number> };
  added_tokens: { id: number; content: string }[];
  post_processor: Record<string, unknown>;
  padding: unknown;
}

/** A tokenizer whose files were changed, as a folder's. */
async function tokenizerWith(
  t: TestContext,
  change: (json: TokenizerJson) => void,
  files: Record<string, string> = {},
) {
  const dir = await temporaryFolder(t);
  const json = JSON.parse(await readFile(join(tokenizerFolder, 'tokenizer.json'), 'utf8')) as TokenizerJson;
  change(json);
  const config = await readFile(join(tokenizerFolder, 'tokenizer_config.json'), 'utf8');
  const all = { 'tokenizer.json': JSON.stringify(json), 'tokenizer_config.json': config, ...files };
  for (const [name, content] of Object.entries(all)) await writeFile(join(dir, name), content);
  return loadTokenizer(dir);
}

const families: Record<string, Record<string, unknown>> = {
  bert: {},
  distilbert: { model_type: 'distilbert', dim: 16, n_layers: 2, n_heads: 2, hidden_dim: 24 },
  'bert with shared layers': { num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1], kdx_swapped_depths: [2] },
};
for (const [name, config] of Object.entries(families))
  test(`${name}: the same tokens and logits, also after it was saved`, async (t) => {
    const source = await open(t, config);
    const { source: pruned, report } = await pruneSource(source, corpus);
    const texts = [...corpus, { text: 'battery! the the, a-1 x', pair: 'broke' }, { text: '☃ is [SEP]' }];
    for (const { text, pair } of texts)
      assert.deepEqual(tokensOf(pruned.tokenizer, text, pair), tokensOf(source.tokenizer, text, pair));
    const expected = await answers(source, texts);
    assert.deepEqual(await answers(pruned, texts), expected);

    const dir = await temporaryFolder(t);
    await saveCheckpoint(dir, { config: pruned.config, weights: pruned.checkpoint.weights });
    for (const [file, content] of Object.entries(pruned.tokenizer.files)) await writeFile(join(dir, file), content);
    const reopened = await openSource(dir);
    assert.deepEqual(await answers(reopened, texts), expected);
    assert.equal(reopened.tokenizer.hash, pruned.tokenizer.hash);

    assert.equal(report.rows.before, 300);
    assert.equal(reopened.config.vocabSize, report.rows.after);
    assert.equal(reopened.tokenizer.vocabSize, report.rows.after);
    assert.equal(report.savedBytes, (300 - report.rows.after) * 16 * 4);
    for (const [tensor, value] of source.checkpoint.weights)
      if (tensor !== table) assert.equal(pruned.checkpoint.weights.get(tensor), value, tensor);
  });

test('what stays: words of the corpus, characters, special tokens; ids are dense, in the old order', async (t) => {
  const given = await vocabulary(t);
  const { tokenizer, weights, newIds } = await pruneVocabulary(given, corpus);
  const used = new Set(corpus.flatMap(({ text, pair }) => tokensOf(given.tokenizer, text, pair)));
  const expected = given.tokenizer.tokens.filter(
    (token) => token !== undefined && (used.has(token) || /^(##)?.$/.test(token) || /^\[[A-Z]+\]$/.test(token)),
  );
  assert.deepEqual(tokenizer.tokens, expected);
  assert.ok(expected.length > 80 && expected.length < 200);
  assert.deepEqual([...newIds.values()], [...Array(newIds.size).keys()]);
  const row = (all: Vocabulary['weights'], id: number) => all.get(table)!.data.slice(16 * id, 16 * id + 16);
  for (const [old, id] of newIds) assert.deepEqual(row(weights, id), row(given.weights, old));
});

test('words that are dropped fall apart into kept pieces', async (t) => {
  const given = await vocabulary(t);
  const { tokenizer } = await pruneVocabulary(given, corpus);
  assert.deepEqual(tokensOf(given.tokenizer, 'useless refund'), ['[CLS]', 'useless', 'refund', '[SEP]']);
  assert.deepEqual(tokensOf(tokenizer, 'useless refund'), [
    '[CLS]',
    'useless',
    ...['r', '##e', '##f', '##u', '##n', '##d'],
    '[SEP]',
  ]);
});

const kept: Record<string, [PruneOptions, readonly string[], readonly string[]]> = {
  'tokens that occur once are dropped': [{ minimumCount: 2 }, ['the', 'screen'], ['noisy', 'battery']],
  'tokens to keep, and tokens of a text to keep': [
    { keep: ['##ing', 'horrible refunds'] },
    ['##ing', 'horrible', 'refund', 'noisy'],
    ['pleasant', '##able'],
  ],
};
for (const [name, [options, stay, go]] of Object.entries(kept))
  test(`options: ${name}`, async (t) => {
    const { tokenizer } = await pruneVocabulary(await vocabulary(t), corpus, options);
    for (const token of stay) assert.notEqual(tokenizer.idOf(token), undefined, token);
    for (const token of go) assert.equal(tokenizer.idOf(token), undefined, token);
  });

test('coverage counts texts and tokens that stay as they are', async (t) => {
  const given = await vocabulary(t);
  const dev = [{ text: 'the screen' }, { text: 'the refund' }, { text: '☃ the ☃' }];
  const { report } = await pruneVocabulary(given, corpus, { dev, minimumCount: 2 });
  // Of twelve tokens `the`, `screen` (twice each) and the character `a` stay.
  assert.deepEqual(report.corpus, { texts: { total: 2, unchanged: 0 }, tokens: { total: 12, kept: 5 } });
  assert.deepEqual(report.dev, { texts: { total: 3, unchanged: 2 }, tokens: { total: 7, kept: 6 } });
});

test('counts of tokens instead of texts', async (t) => {
  const given = await vocabulary(t);
  const counts = new Uint32Array(given.tokenizer.vocabSize);
  counts[given.tokenizer.idOf('refund') as number] = 3;
  counts[given.tokenizer.idOf('noisy') as number] = 1;
  const { tokenizer, report } = await pruneVocabulary(given, { counts }, { minimumCount: 2 });
  assert.equal(tokenizer.idOf('noisy'), undefined);
  assert.notEqual(tokenizer.idOf('refund'), undefined);
  assert.deepEqual(report.corpus, { tokens: { total: 4, kept: 3 } });
});

test('an unknown word that gets pieces is a changed text', async (t) => {
  // Without the piece `##☃` a word with a snowman is unknown, unless a longer piece with it is reached.
  const tokenizer = await tokenizerWith(t, ({ model }) => {
    model.vocab['qa'] = 275;
    model.vocab['##a☃'] = 276;
  });
  const given = { ...(await vocabulary(t)), tokenizer };
  assert.deepEqual(tokensOf(tokenizer, 'qa☃'), ['[CLS]', '[UNK]', '[SEP]']);
  const { tokenizer: pruned, report } = await pruneVocabulary(given, corpus, {
    keep: ['##a☃'],
    dev: [{ text: 'qa☃' }],
  });
  assert.deepEqual(tokensOf(pruned, 'qa☃'), ['[CLS]', 'q', '##a☃', '[SEP]']);
  assert.deepEqual(report.dev?.texts, { total: 1, unchanged: 0 });
});

test('every id in the files is new: template, padding, added tokens, vocab.txt, configuration', async (t) => {
  const added = { id: 275, content: '<added>', special: false, single_word: false, lstrip: false, rstrip: false };
  const vocab: Record<string, number> = {};
  // Ids from the end: the special tokens have the highest.
  const tokenizer = await tokenizerWith(
    t,
    (json) => {
      for (const [token, id] of Object.entries(json.model.vocab)) vocab[token] = 274 - id;
      json.model.vocab = vocab;
      json.added_tokens = json.added_tokens.map((token) => ({ ...token, id: vocab[token.content] as number }));
      json.added_tokens.push(added);
      json.padding = { strategy: 'BatchLongest', pad_id: vocab['[PAD]'], pad_token: '[PAD]' };
      const { special_tokens: special } = json.post_processor as {
        special_tokens: Record<string, { id: string; ids: number[] }>;
      };
      for (const token of Object.values(special)) token.ids = [vocab[token.id] as number];
    },
    {
      'vocab.txt': 'rewritten from tokenizer.json',
      'special_tokens_map.json': '{"pad_token":"[PAD]"}',
      'tokenizer_config.json': JSON.stringify({
        added_tokens_decoder: { 274: { content: '[PAD]' }, 275: added, 1: { content: 'your' } },
        pad_token_id: 274,
        model_max_length: 64,
      }),
    },
  );
  const raw = { ...tinyClassifierJson, pad_token_id: 274, sep_token_id: 271, eos_token_id: 1 };
  const given = { ...(await vocabulary(t)), tokenizer, config: parseConfig(raw, 'config.json') };
  const { config, tokenizer: pruned } = await pruneVocabulary(given, corpus, { keep: ['zipper'] });
  const json = JSON.parse(pruned.files['tokenizer.json'] as string);
  const idOf = (token: string) => pruned.idOf(token) as number;
  assert.deepEqual(json.post_processor.special_tokens['[CLS]'].ids, [idOf('[CLS]')]);
  assert.deepEqual(json.post_processor.special_tokens['[SEP]'].ids, [idOf('[SEP]')]);
  assert.equal(json.padding.pad_id, idOf('[PAD]'));
  for (const { id, content } of json.added_tokens) assert.equal(id, idOf(content), content);
  assert.equal(json.added_tokens.length, 6);
  assert.equal(idOf('<added>'), pruned.vocabSize - 1);
  assert.deepEqual(tokensOf(pruned, 'a <added> zipper'), ['[CLS]', 'a', '<added>', 'zipper', '[SEP]']);
  assert.equal(pruned.files['vocab.txt'], pruned.tokens.slice(0, -1).map((token) => `${token}\n`).join('')); // prettier-ignore
  const settings = JSON.parse(pruned.files['tokenizer_config.json'] as string);
  assert.deepEqual(settings.added_tokens_decoder, {
    [idOf('[PAD]')]: { content: '[PAD]' },
    [idOf('<added>')]: added,
    // config.json names it, so that it stays.
    [idOf('your')]: { content: 'your' },
  });
  assert.equal(settings.pad_token_id, idOf('[PAD]'));
  assert.equal(settings.model_max_length, 64);
  assert.equal(pruned.files['special_tokens_map.json'], '{"pad_token":"[PAD]"}');
  const written = configToJson(config);
  assert.equal(written['vocab_size'], pruned.vocabSize);
  assert.equal(written['pad_token_id'], idOf('[PAD]'));
  assert.equal(written['sep_token_id'], idOf('[SEP]'));
  assert.equal(written['eos_token_id'], idOf('your'));
});

test('the older post-processor that names tokens with ids, inside a sequence', async (t) => {
  const tokenizer = await tokenizerWith(t, (json) => {
    const bert = { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] };
    json.post_processor = { type: 'Sequence', processors: [bert] };
    json.model.vocab['[PAD]'] = 275;
    json.added_tokens[0]!.id = 275;
    delete json.model.vocab['!'];
  });
  const { tokenizer: pruned } = await pruneVocabulary({ ...(await vocabulary(t)), tokenizer }, corpus);
  const [bert] = JSON.parse(pruned.files['tokenizer.json'] as string).post_processor.processors;
  assert.deepEqual(bert.sep, ['[SEP]', pruned.idOf('[SEP]')]);
  assert.deepEqual(bert.cls, ['[CLS]', pruned.idOf('[CLS]')]);
  assert.equal(pruned.idOf('[CLS]'), 1);
});

test('only vocab.txt: the folder keeps one that says the same', async (t) => {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { vocabularyOnly: true });
  const { config, weights } = await loadCheckpoint(dir);
  const { tokenizer } = await pruneVocabulary({ config, weights, tokenizer: await loadTokenizer(dir) }, corpus);
  await writeFile(join(dir, 'vocab.txt'), tokenizer.files['vocab.txt'] as string);
  assert.equal((await loadTokenizer(dir)).hash, tokenizer.hash);
});

test('the bias of a tied masked-language head goes with the rows', async (t) => {
  const given = await vocabulary(t);
  const bias = tensorOf(
    'float32',
    [300],
    Array.from({ length: 300 }, (_, i) => i),
  );
  const weights = new Map([...given.weights, ['cls.predictions.bias', bias] as const]);
  const pruned = await pruneVocabulary({ ...given, weights }, corpus);
  assert.deepEqual([...pruned.weights.get('cls.predictions.bias')!.data], [...pruned.newIds.keys()]);
  assert.equal(pruned.report.savedBytes, (300 - pruned.newIds.size) * 17 * 4);
});

test('refused: another kind of tokenizer, and a corpus without a word', async (t) => {
  const given = await vocabulary(t);
  const files = { 'tokenizer.json': JSON.stringify({ model: { type: 'BPE', vocab: {}, merges: [] } }) };
  const tokenizer = { ...given.tokenizer, files };
  await assert.rejects(pruneVocabulary({ ...given, tokenizer }, corpus), {
    code: 'unsupported-tokenizer',
    message: /BPE/,
  });
  for (const nothing of [[], [{ text: ' ' }], { counts: [0, 0] }])
    await assert.rejects(pruneVocabulary(given, nothing), { name: 'KdxError', code: 'empty-corpus' });
});

test('a corpus file has a text per line', async (t) => {
  const path = join(await temporaryFolder(t), 'corpus.txt');
  await writeFile(path, 'one text\r\n\n  \nanother\n');
  assert.deepEqual(await readCorpus(path), [{ text: 'one text' }, { text: 'another' }]);
  await assert.rejects(readCorpus(`${path}.absent`), { code: 'file-not-found' });
});

/** Tokenizers against Transformers: fixtures/golden/tokenizer.py says how the golden values were made. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { encodeExamples, encodedLengths, loadTaskData, loadTokenizer } from '../../src/data/index.ts';
import { longestFirst } from '../../src/data/truncation.ts';
import { noRealData, realData } from './real-data.ts';

const golden = fileURLToPath(new URL('../../fixtures/golden/tokenizer/', import.meta.url));

interface Case {
  readonly text: string;
  readonly pair: string | null;
  readonly maxLength: number;
  readonly ids: number[];
  readonly typeIds: number[];
}

interface Golden {
  readonly uncased: readonly Case[];
  readonly cased: readonly Case[];
  readonly roberta: readonly Case[];
  readonly xlm: readonly Case[];
  readonly real: Readonly<Record<string, { rows: number; maxLength: number; sha256: string }>>;
}

const cases = JSON.parse(await readFile(join(golden, 'cases.json'), 'utf8')) as Golden;
const scratch = await mkdtemp(join(tmpdir(), 'kdx-tokenizer-'));
after(() => rm(scratch, { recursive: true }));

/** A folder with these of the uncased files, and these contents. */
async function folder(name: string, kept: readonly string[], contents: Readonly<Record<string, string>> = {}) {
  const path = join(scratch, name);
  for (const file of kept) await cp(join(golden, 'uncased', file), join(path, file));
  if (kept.length === 0) await cp(join(golden, 'cased'), path, { recursive: true });
  for (const [file, content] of Object.entries(contents)) await writeFile(join(path, file), content);
  return path;
}

async function assertCases(dir: string, expected: readonly Case[]) {
  const tokenizer = await loadTokenizer(dir);
  for (const { text, pair, maxLength, ids, typeIds } of expected) {
    const found = tokenizer.encode(text, pair ?? undefined, maxLength);
    assert.deepEqual(found, { ids, typeIds }, `${JSON.stringify(text)} with ${JSON.stringify(pair)} in ${maxLength}`);
  }
}

test('tokenizer.json gives the ids of Transformers; its own truncation and padding are ignored', () =>
  assertCases(join(golden, 'uncased'), cases.uncased));

test('vocab.txt alone gives an uncased BERT tokenizer', async () =>
  assertCases(await folder('vocab', ['vocab.txt']), cases.uncased));

test('vocab.txt with do_lower_case false gives a cased one', () => assertCases(join(golden, 'cased'), cases.cased));

test('a tokenizer made of vocab.txt has the hash and, written out, the ids of tokenizer.json', async () => {
  const whole = await loadTokenizer(join(golden, 'uncased'));
  const made = await loadTokenizer(await folder('hash', ['vocab.txt'], { 'vocab.txt': await crlf() }));
  assert.equal(made.hash, whole.hash);
  assert.notEqual(made.hash, (await loadTokenizer(join(golden, 'cased'))).hash);
  const written = await folder('written', ['vocab.txt'], made.files);
  assert.equal((await loadTokenizer(written)).hash, whole.hash);
  await assertCases(written, cases.uncased);
});

test("RoBERTa's vocab.json and merges.txt give the ids of Transformers, also once written out", async () => {
  const dir = join(golden, 'roberta');
  await assertCases(dir, cases.roberta);
  const made = await loadTokenizer(dir);
  const written = await folder('roberta', ['vocab.txt'], made.files);
  await rm(join(written, 'vocab.txt'));
  await assertCases(written, cases.roberta);
  assert.equal((await loadTokenizer(written)).hash, made.hash);
});

test("XLM-RoBERTa's tokenizer.json gives the ids of Transformers", () => assertCases(join(golden, 'xlm'), cases.xlm));

test('special tokens have the names of the files, else those of BERT or RoBERTa', async () => {
  const ids = async (dir: string) => {
    const { clsId, padId, sepId, unkId, maskId } = await loadTokenizer(dir);
    return [clsId, padId, sepId, unkId, maskId];
  };
  assert.deepEqual(await ids(join(golden, 'roberta')), [0, 1, 2, 3, 4]);
  // This vocabulary has a piece [SEP].
  const xlm = await loadTokenizer(join(golden, 'xlm'));
  assert.ok(xlm.idOf('[SEP]')! > 4);
  assert.deepEqual(await ids(join(golden, 'xlm')), [0, 1, 2, 3, xlm.idOf('<mask>')]);
  const { files } = await loadTokenizer(join(golden, 'roberta'));
  const named = (name: string, contents: Record<string, string>) =>
    folder(name, ['vocab.txt'], { ...files, ...contents }).then(ids);
  assert.deepEqual(await named('by-map', { 'special_tokens_map.json': '{"sep_token": "<s>"}' }), [0, 1, 0, 3, 4]);
  const both = { 'special_tokens_map.json': '{"sep_token": "<s>"}', 'tokenizer_config.json': '{"sep_token": "<pad>"}' };
  assert.deepEqual(await named('by-config', both), [0, 1, 1, 3, 4]);
});

async function crlf(): Promise<string> {
  return (await readFile(join(golden, 'uncased/vocab.txt'), 'utf8')).replaceAll('\n', '\r\n');
}

test('sizes, special tokens and files are those of the folder', async () => {
  const tokenizer = await loadTokenizer(join(golden, 'uncased'));
  const { padId, unkId, clsId, sepId, maskId, modelMaxLength } = tokenizer;
  assert.deepEqual([padId, unkId, clsId, sepId, maskId, modelMaxLength], [0, 1, 2, 3, 4, 512]);
  const vocabulary = (await readFile(join(golden, 'uncased/vocab.txt'), 'utf8')).trimEnd().split('\n');
  assert.equal(tokenizer.vocabSize, vocabulary.length);
  assert.deepEqual(tokenizer.tokens, vocabulary);
  assert.equal(tokenizer.idOf('##ing'), vocabulary.indexOf('##ing'));
  assert.equal(tokenizer.idOf('constructor '), undefined);
  const written = await readFile(join(golden, 'uncased/tokenizer.json'), 'utf8');
  assert.equal(tokenizer.files['tokenizer.json'], written);
  assert.deepEqual(Object.keys(tokenizer.files).sort(), ['tokenizer.json', 'tokenizer_config.json', 'vocab.txt']);
});

test('a model_max_length of 1e30 means none; a missing configuration is made', async () => {
  const tokenizer = await loadTokenizer(
    await folder('endless', ['tokenizer.json'], { 'tokenizer_config.json': '{"model_max_length": 1e30}' }),
  );
  assert.equal(tokenizer.modelMaxLength, undefined);
  const made = await loadTokenizer(await folder('bare', ['tokenizer.json']));
  assert.equal(JSON.parse(made.files['tokenizer_config.json']!).tokenizer_class, 'BertTokenizer');
});

test('special tokens may be named otherwise', async () => {
  const renamed = (await readFile(join(golden, 'uncased/vocab.txt'), 'utf8')).replace('[PAD]', '<pad>');
  const config = '{"pad_token": {"content": "<pad>"}}';
  const dir = await folder('renamed', ['vocab.txt'], { 'vocab.txt': renamed, 'tokenizer_config.json': config });
  assert.equal((await loadTokenizer(dir)).padId, 0);
  await rm(join(dir, 'tokenizer_config.json'));
  await assert.rejects(loadTokenizer(dir), { code: 'invalid-vocabulary', message: /has no token \[PAD\]/ });
});

test('longest_first keeps the shorter text and gives the odd token to the longer, else to the second', () => {
  assert.deepEqual(longestFirst(3, 4, 7), [3, 4]);
  assert.deepEqual(longestFirst(10, 2, 7), [5, 2]);
  assert.deepEqual(longestFirst(2, 10, 7), [2, 5]);
  assert.deepEqual(longestFirst(10, 9, 7), [4, 3]);
  assert.deepEqual(longestFirst(9, 10, 7), [3, 4]);
  assert.deepEqual(longestFirst(9, 9, 7), [3, 4]);
  assert.deepEqual(longestFirst(9, 0, 7), [7, 0]);
});

test('a length without room for text is refused', async () => {
  const tokenizer = await loadTokenizer(join(golden, 'uncased'));
  assert.deepEqual(tokenizer.encode('word word', undefined, 3).ids.length, 3);
  assert.throws(() => tokenizer.encode('word', undefined, 2), { code: 'invalid-max-length' });
  assert.throws(() => tokenizer.encode('word', 'word', 3), { code: 'invalid-max-length', message: /3 special/ });
});

test('folders without a usable tokenizer are refused by name', async () => {
  const unpadded = (await readFile(join(golden, 'uncased/tokenizer.json'), 'utf8')).replaceAll('[PAD]', '[GAP]');
  const far = unpadded.replace(/("the": )\d+/, `$1${2 ** 31}`);
  const uncased = await readFile(join(golden, 'uncased/tokenizer.json'), 'utf8');
  const typed = uncased.replaceAll(/("type_id": )1/g, '$17');
  const refused: readonly (readonly [string, Record<string, string>, string, RegExp])[] = [
    ['none', {}, 'missing-tokenizer', /neither tokenizer\.json nor vocab\.txt/],
    ['cut', { 'tokenizer.json': '{"model": {' }, 'invalid-json', /tokenizer\.json is not JSON/],
    ['list', { 'tokenizer.json': '[1]' }, 'invalid-json', /holds no JSON object/],
    ['config', { 'tokenizer_config.json': '{' }, 'invalid-json', /tokenizer_config\.json is not JSON/],
    ['other', { 'tokenizer.json': '{}' }, 'invalid-tokenizer', /other cannot be used/],
    ['token', { 'tokenizer.json': unpadded }, 'invalid-tokenizer', /token cannot be used: its .* no token \[PAD\]/],
    [
      'far',
      { 'tokenizer.json': far },
      'invalid-tokenizer',
      /far cannot be used: its vocabulary has an id of 2147483648/,
    ],
    [
      'types',
      { 'tokenizer.json': typed },
      'invalid-tokenizer',
      /types cannot be used: its post_processor gives a text the type 7,/,
    ],
    ['pieces', { 'vocab.json': '{"<s>": -1}', 'merges.txt': '' }, 'invalid-vocabulary', /vocab\.json: "<s>" has no id/],
    ['merges', { 'vocab.json': '{}' }, 'missing-tokenizer', /nor vocab\.json and merges\.txt/],
    ['empty', { 'vocab.txt': '' }, 'invalid-vocabulary', /vocab\.txt has no token \[CLS\]/],
  ];
  for (const [name, contents, code, message] of refused) {
    const dir = await folder(name, [], contents);
    if (!('vocab.txt' in contents)) await rm(join(dir, 'vocab.txt'));
    await assert.rejects(loadTokenizer(dir), { code, message, exitCode: 2 }, name);
  }
  await assert.rejects(loadTokenizer(join(scratch, 'nowhere')), { code: 'missing-tokenizer' });
});

test('encoded examples lie flat, one after the other', async () => {
  const tokenizer = await loadTokenizer(join(golden, 'uncased'));
  const examples = [
    { id: 0, text: 'word', label: 1 },
    { id: 1, text: 'word', pair: 'a longer word', label: 0.5 },
  ];
  const encoded = encodeExamples(tokenizer, examples, 7);
  const single = tokenizer.encode('word', undefined, 7);
  const double = tokenizer.encode('word', 'a longer word', 7);
  assert.deepEqual([...encoded.ids], [...single.ids, ...double.ids]);
  assert.deepEqual([...encoded.typeIds], [...single.typeIds, ...double.typeIds]);
  assert.deepEqual([...encodedLengths(encoded)], [single.ids.length, 7]);
  assert.deepEqual([...encoded.labels], [1, 0.5]);
  assert.equal(encoded.padId, 0);
});

for (const [name, expected] of Object.entries(cases.real)) {
  test(
    `bert-base-uncased gives the ids of Transformers for the development set of ${name}`,
    { skip: noRealData },
    async () => {
      const tokenizer = await loadTokenizer(join(realData, 'bert-base-uncased'));
      const { dev } = await loadTaskData({ task: name, dir: join(realData, 'glue', name) }, { splits: ['dev'] });
      assert.equal(dev.length, expected.rows);
      const hash = createHash('sha256');
      for (const { text, pair } of dev) {
        const { ids, typeIds } = tokenizer.encode(text, pair, expected.maxLength);
        hash.update(`${ids.join()}|${typeIds.join()}\n`);
      }
      assert.equal(hash.digest('hex'), expected.sha256);
    },
  );
}

test('67 thousand sentences are tokenized in seconds', { skip: noRealData }, async () => {
  const tokenizer = await loadTokenizer(join(realData, 'bert-base-uncased'));
  const { train } = await loadTaskData({ task: 'sst2', dir: join(realData, 'glue/SST-2') }, { splits: ['train'] });
  const start = performance.now();
  assert.equal(encodeExamples(tokenizer, train, 64).count, 67349);
  assert.ok(performance.now() - start < 20_000);
});

test('vocab.txt and tokenizer.json of bert-base-uncased are the same tokenizer', { skip: noRealData }, async () => {
  const dir = join(scratch, 'base');
  await cp(join(realData, 'bert-base-uncased/vocab.txt'), join(dir, 'vocab.txt'));
  const whole = await loadTokenizer(join(realData, 'bert-base-uncased'));
  assert.equal((await loadTokenizer(dir)).hash, whole.hash);
  assert.equal(whole.vocabSize, 30522);
});

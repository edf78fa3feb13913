/** Masked language models, encoders, and tensors of others: what is written is what Transformers writes. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  bertTensors,
  loadCheckpoint,
  partsOfKind,
  readConfig,
  readSafetensors,
  saveCheckpoint,
} from '../../src/checkpoint/index.ts';
import { tensorOf, type Tensor } from '../../src/graph/index.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { renamed, tinyConfig, tinyJson, tinyWeights, writeFolder } from './tiny-bert.ts';

const golden = (name: string) => fileURLToPath(new URL(`../../fixtures/golden/${name}`, import.meta.url));
const fileOf = (dir: string) => readSafetensors(join(dir, 'model.safetensors'));

/** Keys of config.json that differ between what kdx and Transformers write. */
async function configDifferences(dir: string, other: string): Promise<string[]> {
  const [ours, theirs] = await Promise.all(
    [dir, other].map(async (folder) => JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))),
  );
  return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])]
    .filter((key) => JSON.stringify(ours[key]) !== JSON.stringify(theirs[key]))
    .sort();
}

const folders = {
  bert: ['classifier', ['position_embedding_type', 'problem_type']],
  'masked-lm': ['masked-lm', ['position_embedding_type']],
  distilbert: ['classifier', ['problem_type']],
  'distilbert-masked-lm': ['masked-lm', []],
  roberta: ['classifier', ['position_embedding_type', 'problem_type']],
  'roberta-masked-lm': ['masked-lm', ['position_embedding_type']],
} as const;
for (const [name, [kind, ownKeys]] of Object.entries(folders))
  test(`a folder of Transformers is written back with its names, contents and keys: ${name}`, async (t) => {
    const dir = await temporaryFolder(t);
    const loaded = await loadCheckpoint(golden(name));
    assert.equal(loaded.hasMaskedLmHead, kind === 'masked-lm');
    assert.equal(loaded.hasHead, kind === 'classifier');
    assert.equal(loaded.hasPooler, name === 'bert');
    assert.deepEqual(loaded.extra, new Map());
    await saveCheckpoint(dir, { config: loaded.config, weights: loaded.weights, kind });
    const [ours, theirs] = [await fileOf(dir), await fileOf(golden(name))];
    assert.deepEqual(new Map([...ours.tensors].sort()), new Map([...theirs.tensors].sort()));
    assert.deepEqual(await configDifferences(dir, golden(name)), ownKeys);
    assert.deepEqual((await loadCheckpoint(dir)).weights, loaded.weights);
  });

const config = tinyConfig({ problem_type: 'single_label_classification' });
const head = renamed(tinyWeights(config, partsOfKind['masked-lm']), (name) => (/^cls/.test(name) ? name : undefined));
const pretrained = renamed(tinyWeights(config), (name) => (name.startsWith('classifier') ? undefined : name));
const encoder = renamed(pretrained, (name) => (name.includes('pooler') ? undefined : name));
const masked = new Map([...encoder, ...head]);
const table = encoder.get('bert.embeddings.word_embeddings.weight')!;
const bias = head.get('cls.predictions.bias')!;

test('a masked language model without tied copies has no classes in its config.json', async (t) => {
  const dir = await temporaryFolder(t);
  const untied = tinyConfig({ tie_word_embeddings: false });
  await saveCheckpoint(dir, { config: untied, weights: masked, kind: 'masked-lm' });
  const { raw } = await readConfig(dir);
  assert.deepEqual(raw['architectures'], ['BertForMaskedLM']);
  assert.equal(raw['tie_word_embeddings'], true);
  assert.deepEqual(
    ['id2label', 'label2id', 'problem_type'].filter((key) => key in raw),
    [],
  );
  await assert.rejects(
    saveCheckpoint(join(dir, 'x'), { config, weights: tinyWeights(config), kind: 'masked-lm' }),
    /internal: tensor cls\.predictions\.transform\.dense\.weight .*missing/,
  );
});

for (const [what, weights] of Object.entries({ 'with pooler': pretrained, 'without pooler': encoder }))
  test(`an encoder ${what}`, async (t) => {
    const dir = await temporaryFolder(t);
    await saveCheckpoint(dir, { config, weights, kind: 'encoder' });
    const loaded = await loadCheckpoint(dir);
    assert.deepEqual(loaded.config.raw['architectures'], ['BertModel']);
    assert.deepEqual(loaded.weights, weights);
    assert.ok(!loaded.hasHead && !loaded.hasMaskedLmHead);
    assert.equal(loaded.hasPooler, what === 'with pooler');
  });

test('tensors of others come back as they were, and cannot take the place of one of the model', async (t) => {
  const dir = await temporaryFolder(t);
  const extra = new Map<string, Tensor>([
    [
      'fit_dense.weight',
      tensorOf(
        'float32',
        [6, 4],
        Array.from({ length: 24 }, (_, i) => i),
      ),
    ],
    ['fit_dense.bias', tensorOf('float32', [6], [1, 2, 3, 4, 5, 6])],
  ]);
  await saveCheckpoint(dir, { config, weights: pretrained, kind: 'encoder', extra });
  const loaded = await loadCheckpoint(dir);
  assert.deepEqual(loaded.extra, extra);
  assert.deepEqual(loaded.weights, pretrained);
  const clash = new Map([['bert.pooler.dense.bias', tensorOf('float32', [4], [0, 0, 0, 0])]]);
  await assert.rejects(
    saveCheckpoint(dir, { config, weights: pretrained, kind: 'encoder', extra: clash }),
    /internal: extra tensor bert\.pooler\.dense\.bias/,
  );
});

test('a pretrained BERT: head with TensorFlow names and tied copies, next-sentence head as extra', async (t) => {
  const dir = await temporaryFolder(t);
  const nextSentence = tensorOf('float32', [2], [0.5, 1]);
  const stored = new Map<string, Tensor>([
    ...renamed(masked, (name) => name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma')),
    ['cls.predictions.decoder.weight', table],
    ['cls.predictions.decoder.bias', bias],
    ['cls.seq_relationship.bias', nextSentence],
  ]);
  await writeFolder(dir, tinyJson, stored);
  const loaded = await loadCheckpoint(dir);
  assert.deepEqual(loaded.weights, masked);
  assert.ok(loaded.hasMaskedLmHead);
  assert.deepEqual(loaded.extra, new Map([['cls.seq_relationship.bias', nextSentence]]));
});

test('a bias that is stored only as that of the decoder is the bias', async (t) => {
  const dir = await temporaryFolder(t);
  const spelled = renamed(masked, (name) => name.replace(/^cls\.predictions\.bias$/, 'cls.predictions.decoder.bias'));
  await writeFolder(dir, tinyJson, spelled);
  const loaded = await loadCheckpoint(dir);
  assert.deepEqual(loaded.weights, masked);
  assert.deepEqual(loaded.extra, new Map());
});

const other = (value: Tensor<'float32'>) => ({ ...value, data: value.data.map((x) => x + 1) });
const unusable: Readonly<Record<string, ReadonlyMap<string, Tensor>>> = {
  'a decoder of its own': new Map([...head, ['cls.predictions.decoder.weight', other(table)]]),
  'a decoder bias of its own': new Map([...head, ['cls.predictions.decoder.bias', other(bias)]]),
  'no transform': new Map([['cls.predictions.bias', bias]]),
};
for (const [what, tensors] of Object.entries(unusable))
  test(`a head that kdx cannot compute is extra, the encoder is loaded: ${what}`, async (t) => {
    const dir = await temporaryFolder(t);
    await writeFolder(dir, tinyJson, new Map([...encoder, ...tensors]));
    const loaded = await loadCheckpoint(dir);
    assert.equal(loaded.hasMaskedLmHead, false);
    assert.deepEqual(loaded.weights, encoder);
    assert.deepEqual(new Map([...loaded.extra].sort()), new Map([...tensors].sort()));
  });

test('a classifier may keep the head it was pretrained with', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFolder(dir, tinyJson, new Map<string, Tensor>([...tinyWeights(config), ...head]));
  const loaded = await loadCheckpoint(dir);
  assert.ok(loaded.hasHead && loaded.hasMaskedLmHead && loaded.hasPooler);
  assert.equal(loaded.weights.size, bertTensors(config).length + head.size);
});

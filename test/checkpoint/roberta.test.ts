/** RoBERTa, XLM-RoBERTa and CamemBERT folders: other names, positions that begin after the padding token. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allParts,
  bertTensors,
  canonicalName,
  configToJson,
  loadCheckpoint,
  parseConfig,
  saveCheckpoint,
  storedName,
  type BertConfig,
} from '../../src/checkpoint/index.ts';
import { tensorOf } from '../../src/graph/index.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { renamed, tinyJson, tinyWeights, writeFolder } from './tiny-bert.ts';

const json = {
  ...tinyJson,
  model_type: 'roberta',
  max_position_embeddings: 10,
  type_vocab_size: 1,
  layer_norm_eps: 1e-5,
};
const config = parseConfig(json, 'config.json');
const weights = tinyWeights(config);
const stored = renamed(weights, (name) => storedName(name, 'roberta'));

test('its config is read with the defaults of Transformers', () => {
  const { raw: _raw, ...read } = config;
  assert.deepEqual(read, {
    family: 'roberta',
    vocabSize: 11,
    hiddenSize: 4,
    layers: 2,
    heads: 2,
    intermediateSize: 6,
    activation: 'gelu',
    hiddenDropout: 0.1,
    attentionDropout: 0.1,
    classifierDropout: 0.1,
    maxPositions: 8,
    firstPosition: 2,
    typeVocabSize: 1,
    initializerRange: 0.02,
    layerNormEps: 1e-5,
    padTokenId: 1,
    labels: ['negative', 'positive'],
    problemType: 'single_label_classification',
    layerPlan: [0, 1],
  } satisfies Omit<BertConfig, 'raw'>);
});

for (const [type, name] of [
  ['roberta', 'Roberta'],
  ['xlm-roberta', 'XLMRoberta'],
  ['camembert', 'Camembert'],
] as const)
  test(`${type}: what is written is read back, with the class of each kind`, () => {
    const changes = { model_type: type, pad_token_id: 3, kdx_layer_plan: [0, 0], bos_token_id: 0 };
    const { raw: before, ...read } = parseConfig({ ...json, ...changes }, 'config.json');
    assert.deepEqual([read.firstPosition, read.maxPositions], [4, 6]);
    const written = configToJson({ ...read, raw: before });
    assert.deepEqual(
      [written['model_type'], written['max_position_embeddings'], written['pad_token_id'], written['bos_token_id']],
      [type, 10, 3, 0],
    );
    const { raw: _raw, ...again } = parseConfig(written, 'config.json');
    assert.deepEqual(again, read);
    const classes = (['classifier', 'masked-lm', 'encoder'] as const).map(
      (kind) => configToJson({ ...read, raw: before }, kind)['architectures'],
    );
    assert.deepEqual(
      classes.flat(),
      ['ForSequenceClassification', 'ForMaskedLM', 'Model'].map((end) => name + end),
    );
  });

test('positions that the padding token leaves none of are refused', () => {
  assert.throws(() => parseConfig({ ...json, max_position_embeddings: 2 }, 'config.json'), {
    code: 'invalid-config',
    message: /max_position_embeddings is 2, expected more than pad_token_id \+ 1 \(2\)/,
  });
  assert.throws(() => configToJson({ ...config, padTokenId: 0 }), /internal: the first position of a roberta is 2/);
});

test('every canonical name has one of its own, and back', () => {
  const names = bertTensors(config, allParts).map(({ name }) => name);
  assert.ok(!names.some((name) => name.includes('pooler')));
  const own = names.map((name) => storedName(name, 'roberta'));
  assert.equal(new Set(own).size, names.length);
  assert.ok(own.every((name) => /^(roberta\.|classifier\.(dense|out_proj)\.|lm_head\.)/.test(name)));
  for (const family of ['roberta', 'xlm-roberta', 'camembert'] as const)
    assert.deepEqual(
      own.map((name) => canonicalName(name, family)),
      names,
    );
  // The head for classes of tokens, which is another model's.
  assert.equal(canonicalName('classifier.weight', 'roberta'), undefined);
  assert.throws(() => storedName('fit_dense.weight', 'roberta'), /internal: a RoBERTa has no fit_dense\.weight/);
});

for (const [what, spell] of Object.entries({
  'with roberta.': (name: string) => name,
  'without roberta.': (name: string) => name.replace(/^roberta\./, ''),
}))
  test(`its names ${what} are understood, and written with it`, async (t) => {
    const dir = await temporaryFolder(t);
    await writeFolder(dir, json, renamed(stored, spell));
    const loaded = await loadCheckpoint(dir);
    assert.deepEqual(loaded.weights, weights);
    assert.deepEqual([loaded.hasHead, loaded.hasPooler, loaded.extra.size], [true, false, 0]);
    await saveCheckpoint(dir, { config: loaded.config, weights: loaded.weights });
    assert.deepEqual((await loadCheckpoint(dir)).weights, weights);
  });

test('the pooler of an encoder, which its classifier does not have, is left aside', async (t) => {
  const dir = await temporaryFolder(t);
  const encoder = renamed(stored, (name) => (name.startsWith('classifier') ? undefined : name));
  const pooler = ['roberta.pooler.dense.bias', tensorOf('float32', [4], [1, 2, 3, 4])] as const;
  await writeFolder(dir, json, new Map([...encoder, pooler]));
  const loaded = await loadCheckpoint(dir);
  assert.deepEqual([loaded.hasHead, loaded.hasPooler, [...loaded.extra.keys()]], [false, false, [pooler[0]]]);
});

test('refused: half a head, another number of positions', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFolder(dir, json, new Map([...stored].filter(([name]) => name !== 'classifier.dense.bias')));
  await assert.rejects(loadCheckpoint(dir), { code: 'missing-tensor', message: /no tensor classifier\.dense\.bias/ });
  await writeFolder(dir, { ...json, max_position_embeddings: 12 }, stored);
  await assert.rejects(loadCheckpoint(dir), { code: 'tensor-shape', message: /shape \[10, 4\], expected \[12, 4\]/ });
});

/** DistilBERT folders: other keys, other names, the same configuration and canonical weights. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bertTensors,
  canonicalName,
  configToJson,
  distilBertFixed,
  loadCheckpoint,
  parseConfig,
  saveCheckpoint,
  storedName,
  type BertConfig,
} from '../../src/checkpoint/index.ts';
import { tensorOf } from '../../src/graph/index.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { renamed, tinyConfig, tinyJson, tinyWeights, writeFolder } from './tiny-bert.ts';

const json = {
  model_type: 'distilbert',
  vocab_size: 11,
  dim: 4,
  n_layers: 2,
  n_heads: 2,
  hidden_dim: 6,
  max_position_embeddings: 8,
  id2label: { 0: 'negative', 1: 'positive' },
};
const config = parseConfig(json, 'config.json');
const weights = tinyWeights(config);
const stored = renamed(weights, (name) => storedName(name, 'distilbert'));

test('its config is read with the defaults of Transformers', () => {
  const { raw: _raw, ...read } = config;
  assert.deepEqual(read, {
    family: 'distilbert',
    vocabSize: 11,
    hiddenSize: 4,
    layers: 2,
    heads: 2,
    intermediateSize: 6,
    activation: 'gelu',
    hiddenDropout: 0.1,
    attentionDropout: 0.1,
    classifierDropout: 0.2,
    maxPositions: 8,
    typeVocabSize: 0,
    initializerRange: 0.02,
    layerNormEps: 1e-12,
    padTokenId: 0,
    labels: ['negative', 'positive'],
    problemType: 'single_label_classification',
    layerPlan: [0, 1],
  } satisfies Omit<BertConfig, 'raw'>);
});

test('its own keys are written and read back', () => {
  const changes = {
    activation: 'relu',
    dropout: 0.3,
    attention_dropout: 0,
    seq_classif_dropout: 0.4,
    n_layers: 3,
    kdx_layer_plan: [0, 1, 0],
    qa_dropout: 0.7,
  };
  const { raw: before, ...read } = parseConfig({ ...json, ...changes }, 'config.json');
  const { raw, ...again } = parseConfig(configToJson({ ...read, raw: before }), 'config.json');
  assert.deepEqual(again, read);
  const values = [read.activation, read.hiddenDropout, read.attentionDropout, read.classifierDropout];
  assert.deepEqual(values, ['relu', 0.3, 0, 0.4]);
  assert.deepEqual([raw['qa_dropout'], raw['architectures']], [0.7, ['DistilBertForSequenceClassification']]);
});

test('a DistilBERT made from the configuration of a BERT keeps none of its keys', () => {
  const made: BertConfig = { ...tinyConfig({ type_vocab_size: 2 }), family: 'distilbert', ...distilBertFixed };
  const written = configToJson(made);
  const foreign = ['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'intermediate_size', 'type_vocab_size'];
  assert.deepEqual(
    foreign.filter((key) => key in written),
    [],
  );
  assert.deepEqual([written['model_type'], written['dim'], written['n_layers']], ['distilbert', 4, 2]);
  assert.throws(() => configToJson({ ...made, typeVocabSize: 2 }), /internal: typeVocabSize of a DistilBERT is 2/);
  assert.throws(() => configToJson({ ...made, layerNormEps: 1e-5 }), /internal: layerNormEps/);
});

test('mistakes are named by its own keys', () => {
  for (const [changes, says] of [
    [{ dim: undefined }, /dim is missing/],
    [{ n_heads: 3 }, /n_heads 3 does not divide dim 4/],
    [{ activation: 'swish' }, /activation is "swish"/],
    [{ kdx_layer_plan: [0] }, /expected n_layers \(2\)/],
  ] as const)
    assert.throws(() => parseConfig({ ...json, ...changes }, 'config.json'), { code: 'invalid-config', message: says });
});

test('every canonical name has one of its own, and back', () => {
  const names = bertTensors(config, ['encoder', 'pooler', 'head', 'masked-lm']).map(({ name }) => name);
  assert.ok(!names.some((name) => /token_type|pooler/.test(name)));
  const own = names.map((name) => storedName(name, 'distilbert'));
  assert.equal(new Set(own).size, names.length);
  assert.ok(!own.some((name) => /^(bert|cls)\./.test(name)));
  assert.deepEqual(
    own.map((name) => canonicalName(name, 'distilbert')),
    names,
  );
  assert.throws(
    () => storedName('bert.pooler.dense.weight', 'distilbert'),
    /internal: a DistilBERT has no bert\.pooler/,
  );
});

for (const [what, spell] of Object.entries({
  'with distilbert.': (name: string) => name,
  'without distilbert.': (name: string) => name.replace(/^distilbert\./, ''),
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

test('an encoder alone is a DistilBertModel', async (t) => {
  const dir = await temporaryFolder(t);
  const encoder = renamed(weights, (name) => (/classifier/.test(name) ? undefined : name));
  await saveCheckpoint(dir, { config, weights: encoder, kind: 'encoder' });
  const loaded = await loadCheckpoint(dir);
  assert.deepEqual(loaded.config.raw['architectures'], ['DistilBertModel']);
  assert.deepEqual(loaded.weights, encoder);
});

test('a table of sinusoidal positions is read as it is stored, and written as any other', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFolder(dir, { ...json, sinusoidal_pos_embds: true }, stored);
  const loaded = await loadCheckpoint(dir);
  assert.deepEqual(loaded.weights, weights);
  assert.equal(configToJson(loaded.config)['sinusoidal_pos_embds'], false);
  const table = 'distilbert.embeddings.position_embeddings.weight';
  await writeFolder(
    dir,
    { ...json, sinusoidal_pos_embds: true },
    new Map([...stored].filter(([name]) => name !== table)),
  );
  await assert.rejects(loadCheckpoint(dir), {
    code: 'missing-tensor',
    message: new RegExp(table.replaceAll('.', '\\.')),
  });
});

test('refused: the weights of a BERT, half a head, more layers than configured', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFolder(dir, json, tinyWeights(tinyConfig()));
  await assert.rejects(loadCheckpoint(dir), {
    code: 'missing-tensor',
    message: /no tensor distilbert\.embeddings\.word_embeddings\.weight, expected with shape \[11, 4\]/,
  });
  await writeFolder(dir, json, new Map([...stored].filter(([name]) => name !== 'pre_classifier.bias')));
  await assert.rejects(loadCheckpoint(dir), { code: 'missing-tensor', message: /no tensor pre_classifier\.bias/ });
  const third = 'distilbert.transformer.layer.2.ffn.lin1.bias';
  await writeFolder(dir, json, new Map([...stored, [third, tensorOf('float32', [6], [0, 0, 0, 0, 0, 0])]]));
  await assert.rejects(loadCheckpoint(dir), {
    code: 'unexpected-tensor',
    message: /has distilbert\.transformer\.layer\.2\.ffn\.lin1\.bias, but config\.json has only 2 layer/,
  });
  await writeFolder(dir, tinyJson, stored);
  await assert.rejects(loadCheckpoint(dir), { code: 'missing-tensor', message: /no tensor bert\.embeddings/ });
});

test('the tokenizer of a BERT gives no token types in its folder', async (t) => {
  const dir = await temporaryFolder(t);
  const [from, to] = [join(dir, 'bert'), join(dir, 'distilbert')];
  await mkdir(from);
  await writeFile(join(from, 'tokenizer_config.json'), '{"tokenizer_class": "BertTokenizer"}');
  await saveCheckpoint(to, { config, weights, tokenizerFrom: from });
  assert.deepEqual(JSON.parse(await readFile(join(to, 'tokenizer_config.json'), 'utf8')), {
    tokenizer_class: 'BertTokenizer',
    model_input_names: ['input_ids', 'attention_mask'],
  });
  await writeFile(join(from, 'tokenizer_config.json'), '[]');
  await assert.rejects(saveCheckpoint(to, { config, weights, tokenizerFrom: from }), {
    code: 'invalid-json',
    message: /tokenizer_config\.json: not a JSON object/,
  });
});

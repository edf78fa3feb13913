/** config.json in and out. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BertConfig } from '../../src/checkpoint/index.ts';
import { configToJson, parseConfig, readConfig, readOnnxConfig } from '../../src/checkpoint/index.ts';
import { physicalLayers } from '../../src/nn/index.ts';
import type { KdxError } from '../../src/errors/index.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { tinyConfig, tinyJson } from './tiny-bert.ts';

test('a config is read with the defaults of Transformers', () => {
  const { raw, ...config } = tinyConfig();
  assert.deepEqual(raw, tinyJson);
  assert.deepEqual(config, {
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
    typeVocabSize: 2,
    initializerRange: 0.02,
    layerNormEps: 1e-12,
    padTokenId: 0,
    labels: ['negative', 'positive'],
    problemType: 'single_label_classification',
    layerPlan: [0, 1],
  } satisfies Omit<BertConfig, 'raw'>);
});

test('labels: sorted by id, from num_labels, or two by default', () => {
  const many = Object.fromEntries(Array.from({ length: 11 }, (_, id) => [String(10 - id), `name ${10 - id}`]));
  assert.equal(tinyConfig({ id2label: many }).labels[10], 'name 10');
  assert.deepEqual(tinyConfig({ id2label: undefined, num_labels: 3 }).labels, ['LABEL_0', 'LABEL_1', 'LABEL_2']);
  assert.deepEqual(tinyConfig({ id2label: undefined }).labels, ['LABEL_0', 'LABEL_1']);
});

test('activations by all their names, dropout of the classifier, one label as regression', () => {
  assert.equal(tinyConfig({ hidden_act: 'gelu_pytorch_tanh' }).activation, 'gelu_new');
  assert.equal(tinyConfig({ hidden_act: 'relu' }).activation, 'relu');
  assert.equal(tinyConfig({ hidden_dropout_prob: 0.2, classifier_dropout: null }).classifierDropout, 0.2);
  assert.equal(tinyConfig({ classifier_dropout: 0 }).classifierDropout, 0);
  assert.equal(tinyConfig({ id2label: { 0: 'score' } }).problemType, 'regression');
});

test('a config is written as Transformers expects it, and unknown keys survive', () => {
  const json = configToJson(tinyConfig({ my_key: { a: [1] }, torch_dtype: 'float16', num_labels: 2 }));
  assert.deepEqual(json['architectures'], ['BertForSequenceClassification']);
  assert.deepEqual(json['id2label'], { 0: 'negative', 1: 'positive' });
  assert.deepEqual(json['label2id'], { negative: 0, positive: 1 });
  assert.equal(json['problem_type'], 'single_label_classification');
  assert.deepEqual(json['my_key'], { a: [1] });
  assert.equal(json['torch_dtype'], 'float32');
  assert.ok(!('num_labels' in json) && !('kdx_layer_plan' in json) && !('dtype' in json));
  assert.equal(configToJson(tinyConfig({ id2label: { 0: 'score' } }))['problem_type'], 'regression');
});

test('what is written is read back the same', () => {
  const changes = {
    hidden_act: 'gelu_new',
    hidden_dropout_prob: 0.2,
    attention_probs_dropout_prob: 0,
    classifier_dropout: 0.3,
    layer_norm_eps: 1e-5,
    pad_token_id: 3,
    num_hidden_layers: 3,
    kdx_layer_plan: [0, 1, 0],
  };
  const { raw: _before, ...config } = tinyConfig(changes);
  const { raw, ...again } = parseConfig(
    JSON.parse(JSON.stringify(configToJson(tinyConfig(changes)))) as Record<string, unknown>,
    'config.json',
  );
  assert.deepEqual(again, config);
  assert.deepEqual(raw['kdx_layer_plan'], [0, 1, 0]);
  assert.equal(physicalLayers(tinyConfig(changes)), 2);
});

const invalid: Readonly<Record<string, readonly [changes: Record<string, unknown>, says: RegExp]>> = {
  'a missing size': [{ hidden_size: undefined }, /hidden_size is missing/],
  'a size of 0': [{ vocab_size: 0 }, /vocab_size is 0/],
  'a size as text': [{ intermediate_size: '6' }, /intermediate_size is "6"/],
  'a depth beyond reason': [{ num_hidden_layers: 2 ** 31 - 1 }, /num_hidden_layers is 2147483647/],
  'heads that do not divide': [{ num_attention_heads: 3 }, /num_attention_heads 3 does not divide hidden_size 4/],
  'an unknown activation': [{ hidden_act: 'swish' }, /hidden_act is "swish", expected gelu, .*relu/],
  'a dropout of 1': [{ hidden_dropout_prob: 1 }, /hidden_dropout_prob is 1/],
  'an eps of 0': [{ layer_norm_eps: 0 }, /layer_norm_eps is 0/],
  'a pad token outside': [{ pad_token_id: 11 }, /pad_token_id is 11, expected an integer from 0 to 10/],
  'relative positions': [{ position_embedding_type: 'relative_key' }, /position_embedding_type is "relative_key"/],
  'a decoder': [{ is_decoder: true }, /is_decoder is true/],
  'labels with a gap': [{ id2label: { 0: 'a', 2: 'b' } }, /id2label is .* expected a name for each class/],
  'no labels': [{ id2label: {} }, /id2label is \{\}/],
  'a label list': [{ id2label: ['a', 'b'] }, /id2label is \["a","b"\]/],
  'labels of one name': [{ id2label: { 0: 'a', 1: 'a' } }, /id2label gives two classes the same name/],
  'labels that disagree': [{ num_labels: 3 }, /num_labels is 3 but id2label has 2/],
  'several labels at once': [{ problem_type: 'multi_label_classification' }, /problem_type is "multi_label/],
  'regression of two': [{ problem_type: 'regression' }, /problem_type is regression, which does not fit 2 label/],
  'a short layer plan': [{ kdx_layer_plan: [0] }, /kdx_layer_plan is \[0\], expected num_hidden_layers \(2\)/],
  'a layer plan with a hole': [{ kdx_layer_plan: [0, 2] }, /kdx_layer_plan is \[0,2\].*without holes/],
  'a negative layer': [{ kdx_layer_plan: [0, -1] }, /kdx_layer_plan/],
};

for (const [what, [changes, says]] of Object.entries(invalid))
  test(`refused: ${what}`, () => {
    assert.throws(() => tinyConfig(changes), { name: 'KdxError', code: 'invalid-config', message: says });
  });

test('all mistakes are reported at once', () => {
  assert.throws(
    () => tinyConfig({ hidden_size: 0, hidden_act: 'x', vocab_size: null }),
    (error: KdxError) => {
      assert.equal(error.message.split('\n').length, 4);
      return true;
    },
  );
});

test('other models are refused with the list of those supported', () => {
  for (const type of ['gpt2', undefined])
    assert.throws(
      () => tinyConfig({ model_type: type }),
      (error: KdxError) => {
        assert.equal(error.code, 'unsupported-model-type');
        assert.equal(error.suggestions[0], 'supported model types: bert, distilbert, roberta, xlm-roberta, camembert');
        return true;
      },
    );
});

test('beside an ONNX file any model type is read, for what a user of it has to know', async (t) => {
  const dir = await temporaryFolder(t);
  const read = async (json: object) => {
    await writeFile(join(dir, 'config.json'), JSON.stringify(json));
    return readOnnxConfig(dir);
  };
  assert.deepEqual(await read(tinyJson), tinyConfig());
  const foreign = { model_type: 'mobilebert', hidden_act: 'silu', pad_token_id: 3, intermediate_size: undefined };
  const json = { ...tinyJson, ...foreign };
  const config = await read(json);
  const { isForeign, labels, maxPositions, vocabSize, padTokenId, problemType, layers, intermediateSize } = config;
  assert.deepEqual(
    { isForeign, labels, maxPositions, vocabSize, padTokenId, problemType, layers, intermediateSize },
    {
      isForeign: true,
      labels: ['negative', 'positive'],
      maxPositions: 8,
      vocabSize: 11,
      padTokenId: 3,
      problemType: 'single_label_classification',
      layers: 2,
      intermediateSize: 0,
    },
  );
  assert.throws(() => configToJson(config), /internal: a configuration of model type mobilebert is only read/);
  await assert.rejects(read({ model_type: 't5', vocab_size: 8 }), {
    code: 'unsupported-model-type',
    message: /has model_type "t5", and says too little of it:\n {2}max_position_embeddings is missing/,
  });
  await assert.rejects(read({ ...tinyJson, model_type: undefined }), { code: 'unsupported-model-type' });
});

test('a config is read from a file or a folder; bad files are named', async (t) => {
  const dir = await temporaryFolder(t);
  const path = join(dir, 'config.json');
  await writeFile(path, `\uFEFF${JSON.stringify(tinyJson)}`);
  assert.deepEqual(await readConfig(path), tinyConfig());
  assert.deepEqual(await readConfig(dir), tinyConfig());
  await writeFile(path, '{"model_type": ');
  await assert.rejects(readConfig(dir), { code: 'invalid-config', message: /config\.json: not JSON/ });
  await writeFile(path, '[]');
  await assert.rejects(readConfig(dir), { code: 'invalid-config', message: /not a JSON object/ });
  await assert.rejects(readConfig(join(dir, 'none')), { code: 'file-not-found' });
});

/** Checkpoint folders: every spelling that is read, every mistake that is named. */
import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { loadCheckpoint, readSafetensorsHeader, saveCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts';
import type { KdxError } from '../../src/errors/index.ts';
import type { Tensor } from '../../src/graph/index.ts';
import { tensor, tensorOf } from '../../src/graph/index.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { renamed, tinyConfig, tinyJson, tinyWeights, writeFolder } from './tiny-bert.ts';

const config = tinyConfig();
const weights = tinyWeights(config);

test('what is saved is loaded: config, weights, tokenizer files', async (t) => {
  const dir = await temporaryFolder(t);
  const from = join(dir, 'teacher');
  await mkdir(from);
  for (const name of ['tokenizer.json', 'vocab.txt', 'README.md']) await writeFile(join(from, name), name);
  const to = join(dir, 'runs', 'student');
  const shuffled = new Map([...weights].reverse());
  await saveCheckpoint(to, { config, weights: shuffled, tokenizerFrom: from });
  assert.deepEqual((await readdir(to)).sort(), ['config.json', 'model.safetensors', 'tokenizer.json', 'vocab.txt']);
  assert.equal(await readFile(join(to, 'vocab.txt'), 'utf8'), 'vocab.txt');

  const loaded = await loadCheckpoint(to);
  assert.equal(loaded.dir, to);
  assert.deepEqual(loaded.weights, weights);
  assert.deepEqual([...loaded.weights.keys()], [...weights.keys()]);
  assert.deepEqual(loaded.config.labels, config.labels);
  assert.deepEqual(loaded.extra, new Map());
  assert.ok(loaded.hasHead && loaded.hasPooler);
  assert.deepEqual(
    loaded.tokenizerFiles.map((path) => basename(path)),
    ['tokenizer.json', 'vocab.txt'],
  );

  const again = join(dir, 'again');
  await saveCheckpoint(again, { config: loaded.config, weights: loaded.weights, tokenizerFrom: to });
  for (const name of await readdir(to))
    assert.deepEqual(await readFile(join(again, name)), await readFile(join(to, name)), name);
});

test('saving into the folder of the tokenizer keeps the tokenizer', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'tokenizer.json'), '{}');
  await saveCheckpoint(dir, { config, weights, tokenizerFrom: dir });
  assert.equal(await readFile(join(dir, 'tokenizer.json'), 'utf8'), '{}');
});

test('weights that are not the model are not written', async (t) => {
  const dir = join(await temporaryFolder(t), 'out');
  const without = renamed(weights, (name) => (name === 'classifier.bias' ? undefined : name));
  await assert.rejects(saveCheckpoint(dir, { config, weights: without }), /internal: tensor classifier.bias .*missing/);
  const more = new Map([...weights, ['x', tensorOf('float32', [1], [1])]]);
  await assert.rejects(saveCheckpoint(dir, { config, weights: more }), /internal: tensor x /);
  await assert.rejects(readdir(dir), { code: 'ENOENT' });
});

const spellings: Readonly<Record<string, (name: string) => string>> = {
  'without bert.': (name) => name.replace(/^bert\./, ''),
  'with gamma and beta': (name) =>
    name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta'),
};
for (const [what, spell] of Object.entries(spellings))
  test(`names ${what} are understood`, async (t) => {
    const dir = await temporaryFolder(t);
    await writeFolder(dir, tinyJson, renamed(weights, spell));
    assert.deepEqual((await loadCheckpoint(dir)).weights, weights);
  });

test('a pretrained model has no head: half an MLM head is extra, its position_ids are ignored', async (t) => {
  const dir = await temporaryFolder(t);
  const encoder = renamed(weights, (name) => (/classifier|pooler/.test(name) ? undefined : name));
  const cls = tensorOf('float32', [11], new Array<number>(11).fill(1));
  const positions = tensorOf('int64', [1, 8], [0, 1, 2, 3, 4, 5, 6, 7]);
  const others = [
    ['bert.embeddings.position_ids', positions],
    ['cls.predictions.bias', cls],
  ] as const;
  await writeFolder(dir, tinyJson, new Map<string, Tensor>([...encoder, ...others]));
  const loaded = await loadCheckpoint(dir);
  assert.ok(!loaded.hasHead && !loaded.hasPooler);
  assert.deepEqual(loaded.weights, encoder);
  assert.deepEqual(loaded.extra, new Map([['cls.predictions.bias', cls]]));
});

test('half-precision weights are loaded as float32', async (t) => {
  const dir = await temporaryFolder(t);
  const halves = new Map(
    [...weights].map(([name, { dims, data }]) => [name, tensor('bfloat16', dims, bfloat16(data))]),
  );
  await writeFolder(dir, tinyJson, halves);
  const bias = (await loadCheckpoint(dir)).weights.get('classifier.bias');
  assert.equal(bias?.dtype, 'float32');
  const exact = weights.get('classifier.bias') as Tensor<'float32'>;
  bias.data.forEach((value, i) => assert.ok(Math.abs(value / (exact.data[i] as number) - 1) < 2 ** -7));
});

/** By truncation; the lower half of each word comes first. */
function bfloat16(values: Float32Array): Uint16Array {
  return new Uint16Array(values.slice().buffer).filter((_, i) => i % 2 === 1);
}

test('shards are read through their index', async (t) => {
  const dir = await temporaryFolder(t);
  const index = await writeShards(dir);
  assert.deepEqual((await loadCheckpoint(dir)).weights, weights);

  index['classifier.bias'] = 'model-00002-of-00002.safetensors';
  await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: index }));
  await assert.rejects(loadCheckpoint(dir), {
    code: 'missing-tensor',
    message: /00002.* has no tensor classifier.bias/,
  });
  await rm(join(dir, 'model-00002-of-00002.safetensors'));
  await assert.rejects(loadCheckpoint(dir), { code: 'not-a-checkpoint', message: /lacks model-00002-of-00002/ });
  for (const text of ['{', '{}', '{"weight_map":{}}', '{"weight_map":{"a":"../x.safetensors"}}']) {
    await writeFile(join(dir, 'model.safetensors.index.json'), text);
    await assert.rejects(loadCheckpoint(dir), { code: 'corrupt-index' });
  }
});

/** Classifier in the first shard, everything else in the second. */
async function writeShards(dir: string): Promise<Record<string, string>> {
  await writeFolder(dir, tinyJson, new Map());
  await rm(join(dir, 'model.safetensors'));
  const index: Record<string, string> = {};
  for (const [file, ours] of [
    ['model-00001-of-00002.safetensors', true],
    ['model-00002-of-00002.safetensors', false],
  ] as const) {
    const part = new Map([...weights].filter(([name]) => name.startsWith('classifier') === ours));
    await writeSafetensors(join(dir, file), part);
    for (const name of part.keys()) index[name] = file;
  }
  await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: index }));
  return index;
}

test('a shared layer is stored once', async (t) => {
  const dir = await temporaryFolder(t);
  const shared = tinyConfig({ num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] });
  await saveCheckpoint(dir, { config: shared, weights: tinyWeights(shared) });
  const { entries } = await readSafetensorsHeader(join(dir, 'model.safetensors'));
  assert.equal(entries.length, weights.size);
  const loaded = await loadCheckpoint(dir);
  assert.deepEqual(loaded.weights, weights);
  assert.equal(loaded.config.layers, 4);
  assert.deepEqual(loaded.config.layerPlan, [0, 1, 0, 1]);
});

const drop = (dropped: string) => renamed(weights, (name) => (name === dropped ? undefined : name));
const replace = (name: string, value: Tensor) => new Map<string, Tensor>([...weights, [name, value]]);
const mistakes: Readonly<Record<string, readonly [tensors: ReadonlyMap<string, Tensor>, code: string, says: RegExp]>> =
  {
    'a missing weight': [
      drop('bert.encoder.layer.1.attention.self.key.bias'),
      'missing-tensor',
      /no tensor bert\.encoder\.layer\.1\.attention\.self\.key\.bias, expected with shape \[4\]/,
    ],
    'half a head': [drop('classifier.bias'), 'missing-tensor', /no tensor classifier\.bias, expected with shape \[2\]/],
    'a head without a pooler': [
      renamed(weights, (name) => (name.includes('pooler') ? undefined : name)),
      'missing-tensor',
      /no tensor bert\.pooler\.dense\.weight/,
    ],
    'a wrong shape': [
      replace('classifier.weight', tensorOf('float32', [4, 2], new Array<number>(8).fill(0))),
      'tensor-shape',
      /tensor classifier\.weight of .*model\.safetensors has shape \[4, 2\], expected \[2, 4\]/,
    ],
    'a wrong rank': [
      replace('classifier.bias', tensorOf('float32', [2, 1], [0, 0])),
      'tensor-shape',
      /has shape \[2, 1\], expected \[2\]/,
    ],
    'quantized weights': [
      replace('classifier.bias', tensorOf('int8', [2], [0, 0])),
      'tensor-dtype',
      /tensor classifier\.bias of .* is int8/,
    ],
    'a tensor under two names': [
      new Map([...weights, ['pooler.dense.bias', tensorOf('float32', [4], [0, 0, 0, 0])]]),
      'duplicate-tensor',
      /bert\.pooler\.dense\.bias and pooler\.dense\.bias/,
    ],
    'more layers than configured': [
      new Map([...weights, ['bert.encoder.layer.2.output.dense.bias', tensorOf('float32', [4], [0, 0, 0, 0])]]),
      'unexpected-tensor',
      /has bert\.encoder\.layer\.2\.output\.dense\.bias, but config\.json has only 2 layer/,
    ],
  };
for (const [what, [tensors, code, says]] of Object.entries(mistakes))
  test(`refused: ${what}`, async (t) => {
    const dir = await temporaryFolder(t);
    await writeFolder(dir, tinyJson, tensors);
    await assert.rejects(loadCheckpoint(dir), { name: 'KdxError', exitCode: 2, code, message: says });
  });

test('folders that are no checkpoint say what is missing', async (t) => {
  const dir = await temporaryFolder(t);
  await assert.rejects(loadCheckpoint(dir), {
    code: 'not-a-checkpoint',
    message: /has no config\.json and no model\.safetensors/,
  });
  await writeFile(join(dir, 'config.json'), JSON.stringify(tinyJson));
  await assert.rejects(loadCheckpoint(dir), { code: 'not-a-checkpoint', message: /it has no model\.safetensors/ });
  await assert.rejects(loadCheckpoint(join(dir, 'config.json')), { code: 'not-a-folder' });
  await assert.rejects(loadCheckpoint(join(dir, 'none')), { code: 'file-not-found', message: /no hub id/ });
});

test('pickles are refused with the way out', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'config.json'), JSON.stringify(tinyJson));
  await writeFile(join(dir, 'pytorch_model.bin'), '');
  await assert.rejects(loadCheckpoint(dir), (error: KdxError) => {
    assert.equal(error.code, 'unsafe-weights');
    assert.match(error.message, /only in pytorch_model\.bin/);
    assert.match(error.suggestions.join(), /safe_serialization=True/);
    return true;
  });
});

/** Hostile files that once crashed, hung or took too much memory. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { configToJson, loadCheckpoint, parseConfig, readConfig, readSafetensors } from '../../src/checkpoint/index.ts';
import { openClassifier, openSource, predict, summarizeGraph } from '../../src/classifier/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { modelOf, tensorOf, type Model, type ValueInfo } from '../../src/graph/index.ts';
import { decodeModel, readModel, writeModel } from '../../src/onnx/index.ts';
import { graphOf, info, node, rawInfo, rawModel } from '../onnx/samples.ts';
import { temporaryFolder, tinyClassifierJson, writeTinyClassifier } from '../support/tiny-classifier.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

const isWindows = process.platform === 'win32';
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

/** A file whose header is given, without data. */
async function safetensors(t: TestContext, header: string): Promise<string> {
  const path = join(await temporaryFolder(t), 'model.safetensors');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  await writeFile(path, Buffer.concat([length, Buffer.from(header)]));
  return path;
}

const entry = (dtype: string, shape: string) => `{"a":{"dtype":${dtype},"shape":${shape},"data_offsets":[0,0]}}`;

const headers: Record<string, [string, RegExp]> = {
  'a name of 20 MB': [`{"${'a'.repeat(2e7)}":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, /^.{1,600}$/],
  'a shape nested 100000 levels deep': [entry('"F32"', nested(100_000)), /nested more than 64 levels deep/],
  'a type nested 100000 levels deep': [entry(nested(100_000), '[0]'), /nested more than 64 levels deep/],
  '20 million opening brackets': ['['.repeat(2e7), /nested more than 64 levels deep/],
  '20 million empty arrays': [`[${'[],'.repeat(2e7)}[]]`, /more than 4194304 values/],
  'a type that is no primitive value': [entry('{"toString":1}', '[0]'), /dtype \{"toString":1\}/],
  'a shape of 100000 axes': [entry('"F32"', `[${'1,'.repeat(1e5)}0]`), /^.{1,600}$/],
};
for (const [name, [header, message]] of Object.entries(headers))
  test(`safetensors header: ${name}`, async (t) => {
    const code = /^(corrupt-safetensors|unsupported-dtype)$/;
    const start = performance.now();
    await assert.rejects(readSafetensors(await safetensors(t, header)), { name: 'KdxError', code, message });
    assert.ok(performance.now() - start < 5000);
  });

test('a safetensors file with holes that claims a tensor of 4 TiB', { skip: isWindows && 'no holes' }, async (t) => {
  const elements = 2 ** 40;
  const header = JSON.stringify({ a: { dtype: 'F32', shape: [elements], data_offsets: [0, 4 * elements] } });
  const path = await safetensors(t, header);
  const file = await open(path, 'r+');
  const bytes = 8 + header.length + 4 * elements;
  const isPossible = await file.truncate(bytes).then(
    () => true,
    () => false,
  );
  await file.close();
  if (!isPossible) return t.skip('the file system has no files of 4 TiB');
  await assert.rejects(readSafetensors(path), { code: 'corrupt-safetensors', message: /more than fit in memory/ });
});

test('config.json: larger than any configuration, by holes', async (t) => {
  const path = join(await temporaryFolder(t), 'config.json');
  const file = await open(path, 'w');
  await file.truncate(3 * 2 ** 30);
  await file.close();
  await assert.rejects(readConfig(path), { code: 'oversized-file', message: /3221225472 bytes/ });
});

test('pipes and devices are no files: nothing waits for them', { skip: isWindows && 'no pipes' }, async (t) => {
  const dir = await temporaryFolder(t);
  const pipe = join(dir, 'model.safetensors');
  execFileSync('mkfifo', [pipe]);
  await symlink('/dev/zero', join(dir, 'config.json'));
  const reads = [
    () => readSafetensors(pipe),
    () => readModel(pipe),
    () => readConfig(dir),
    () => readModel(join(dir, 'config.json')),
  ];
  for (const read of reads) await assert.rejects(read, { code: 'not-a-file' });
});

const configs: Record<string, [Record<string, unknown>, RegExp]> = {
  'an activation that is a property of every object': [{ hidden_act: 'constructor' }, /"constructor", expected gelu/],
  'an activation that is no primitive value': [{ hidden_act: { toString: 1 } }, /hidden_act is \{"toString":1\}/],
  'a label that is no primitive value': [{ id2label: { 0: { toString: 1 }, 1: 'b' } }, /expected a name/],
  'a layer plan of 100000 entries': [{ kdx_layer_plan: Array<number>(1e5).fill(0) }, /^[^]{1,400}$/],
};
for (const [name, [changes, message]] of Object.entries(configs))
  test(`config.json: ${name}`, () => {
    const read = () => parseConfig({ ...tinyClassifierJson, ...changes }, 'config.json');
    assert.throws(read, { name: 'KdxError', code: 'invalid-config', message });
  });

test('config.json: a key that is a property of every object survives', () => {
  const config = parseConfig({ ...tinyClassifierJson, constructor: 1, toString: 2 }, 'config.json');
  const written = configToJson(config);
  assert.ok(Object.hasOwn(written, 'constructor') && Object.hasOwn(written, 'toString'));
});

test('an index of 200000 tensors is read in a time that grows with it', async (t) => {
  const dir = await temporaryFolder(t);
  const shard = 'model-1.safetensors';
  const names = Array.from({ length: 200_000 }, (_, i) => [`t${i}`, shard]);
  await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: Object.fromEntries(names) }));
  await writeFile(join(dir, 'config.json'), '{}');
  const start = performance.now();
  await assert.rejects(loadCheckpoint(dir), { code: 'not-a-checkpoint', message: /lacks model-1.safetensors/ });
  assert.ok(performance.now() - start < 5000);
});

test('200000 equal initializers are summarized in a time that grows with them', () => {
  const value = tensorOf('float32', [1], [1]);
  const initializers = new Map(Array.from({ length: 200_000 }, (_, i) => [`t${i}`, value] as const));
  const start = performance.now();
  assert.equal(summarizeGraph(graphOf({ initializers })).duplicates[0]?.names.length, 200_000);
  assert.ok(performance.now() - start < 5000);
});

const external = (locations: readonly string[]) =>
  rawModel({
    initializer: locations.map((value, i) => ({
      name: `w${i}`,
      dataType: 1,
      dims: [16],
      dataLocation: 1,
      externalData: [{ key: 'location', value }],
    })),
  });

test('one data file under many spellings is not read many times', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'data'), new Uint8Array(64));
  const { graph } = decodeModel(external(['data', './data', '././data', './/data']), { baseDir: dir });
  const buffers = new Set([...graph.initializers.values()].map(({ data }) => (data as Float32Array).buffer));
  assert.equal(buffers.size, 1);
});

test('external data: a link in a circle, a name too long for the file system', async (t) => {
  const dir = await temporaryFolder(t);
  if (!isWindows) await symlink('circle', join(dir, 'circle'));
  for (const location of [...(isWindows ? [] : ['circle']), 'a'.repeat(300), 'a/'.repeat(50_000)]) {
    const decode = () => decodeModel(external([location]), { baseDir: dir });
    assert.throws(decode, { code: /^(unsafe|missing)-external-data$/, message: /^.{1,700}$/ });
  }
});

test('tensors and values of thousands of dimensions', () => {
  const dims = Array<number>(20_000).fill(1);
  const initializer = [{ name: 't', dataType: 1, dims, floatData: [1] }];
  const expected = { code: 'corrupt-onnx', message: /20000 dimensions, at most 64 are possible/ };
  assert.throws(() => decodeModel(rawModel({ initializer })), expected);
  const input = [
    rawInfo(
      'x'.repeat(1000),
      1,
      dims.map(() => ({ dimValue: -1 })),
    ),
  ];
  assert.throws(() => decodeModel(rawModel({ input })), { code: 'corrupt-onnx', message: /20000 dimensions/ });
});

const ids = (shape: ValueInfo['shape']) => ['input_ids', 'attention_mask'].map((name) => info(name, shape, 'int64'));
const batch = ['batch_size', 'sequence_length'];

/** Models that load and have the names of a classifier, but are none. */
const strange: Record<string, [Model, string]> = {
  'inputs of another rank': [
    modelOf(
      graphOf({
        inputs: ids(['a', 'b', 'c']),
        outputs: [info('logits', undefined)],
        nodes: [node('Cast', ['input_ids'], ['logits'], { to: { type: 'int', value: 1 } })],
      }),
    ),
    'invalid-model',
  ],
  'logits that are integers': [
    modelOf(
      graphOf({
        inputs: ids(batch),
        outputs: [info('logits', undefined, 'int64')],
        nodes: [node('Add', ['input_ids', 'attention_mask'], ['logits'])],
      }),
    ),
    'not-a-classifier',
  ],
  'logits of another number of rows': [
    modelOf(
      graphOf({
        inputs: ids(batch),
        outputs: [info('logits', undefined)],
        initializers: new Map([['fixed', tensorOf('float32', [1, 2], [1, 2])]]),
        nodes: [node('Identity', ['fixed'], ['logits'])],
      }),
    ),
    'not-a-classifier',
  ],
  'an index out of bounds': [
    modelOf(
      graphOf({
        inputs: ids(batch),
        outputs: [info('logits', undefined)],
        initializers: new Map([['table', tensorOf('float32', [1, 2], [1, 2])]]),
        nodes: [node('Gather', ['table', 'input_ids'], ['logits'])],
      }),
    ),
    'invalid-model',
  ],
};
for (const [name, [model, code]] of Object.entries(strange))
  test(`a classifier file with ${name}`, async (t) => {
    const dir = await temporaryFolder(t);
    await writeTinyClassifier(dir);
    await mkdir(join(dir, 'onnx'));
    const file = join(dir, 'onnx', 'model.onnx');
    await writeModel(file, model);
    const classifier = await openClassifier(await openSource(file), engine);
    await assert.rejects(predict(classifier, [{ text: 'a' }, { text: 'b' }]), { name: 'KdxError', code });
    await classifier.release();
  });

test('logits that are no numbers are not predictions', async (t) => {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir);
  const source = await openSource(dir);
  source.checkpoint?.weights.get('classifier.bias')?.data.fill(NaN);
  const classifier = await openClassifier(source, engine);
  await assert.rejects(predict(classifier, [{ text: 'a' }]), { code: 'invalid-logits', message: /NaN, NaN for "a"/ });
  await classifier.release();
});

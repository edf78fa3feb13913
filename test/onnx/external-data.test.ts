/** Weights in a file beside the model. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Model } from '../../src/graph/index.ts';
import { decodeModel, encodeModel, readModel, writeModel } from '../../src/onnx/index.ts';
import { proto } from '../../src/onnx/proto.ts';
import { everything, linear, rawInfo, rawModel } from './samples.ts';

let root: string;
before(async () => (root = await mkdtemp(join(tmpdir(), 'kdx-external-'))));
after(() => rm(root, { recursive: true }));

/** A big page-aligned weight, a small bias in the model, and a second weight from 1 KiB. */
function large(): Model {
  const model = linear(512, 512);
  const small = { dtype: 'float32', dims: [300], data: new Float32Array(300).fill(3) } as const;
  return {
    ...model,
    graph: { ...model.graph, initializers: new Map([['small', small], ...model.graph.initializers]) },
  };
}

type Entries = Record<string, string>;

/** What each initializer says of its external data. */
function placements(bytes: Uint8Array): Record<string, Entries> {
  const initializers = proto.ModelProto.decode(bytes).graph?.initializer ?? [];
  return Object.fromEntries(
    initializers
      .filter((initializer) => initializer.dataLocation === 1)
      .map(({ name, externalData }) => [
        name ?? '',
        Object.fromEntries((externalData ?? []).map(({ key, value }) => [key ?? '', value ?? ''])),
      ]),
  );
}

for (const model of [large(), everything()])
  test(`always: written and read back, ${model.graph.nodes[0]?.opType}`, async () => {
    const path = join(await mkdtemp(join(root, 'always-')), 'model.onnx');
    await writeModel(path, model, { externalData: 'always' });
    assert.deepEqual(await readModel(path), model);
    assert.deepEqual(decodeModel(await readFile(path), { baseDir: join(path, '..') }), model);
  });

test('big tensors start at pages, smaller ones at 64 bytes, small ones and their bytes stay in the model', async () => {
  const path = join(root, 'placed', 'model.onnx');
  await writeModel(path, large(), { externalData: 'always' });
  const bytes = await readFile(path);
  const location = 'model.onnx_data';
  assert.deepEqual(placements(bytes), {
    small: { location, offset: '0', length: '1200' },
    W: { location, offset: '4096', length: String(512 * 512 * 4) },
    b: { location, offset: String(4096 + 512 * 512 * 4), length: '2048' },
  });
  const data = await readFile(`${path}_data`);
  assert.equal(data.length, 4096 + 512 * 512 * 4 + 2048);
  assert.equal(data.readFloatLE(4096 + 4 * 1000), 1000);
  assert.ok(bytes.length < 1000);
});

test('equal models give equal files, and encode gives what write writes', async () => {
  const folder = await mkdtemp(join(root, 'same-'));
  const paths = [join(folder, 'a', 'model.onnx'), join(folder, 'b', 'model.onnx')] as const;
  for (const path of paths) await writeModel(path, large(), { externalData: 'always' });
  const { bytes, external } = encodeModel(large(), { externalData: { location: 'model.onnx_data' } });
  for (const path of paths) {
    assert.deepEqual(await readFile(path), Buffer.from(bytes));
    assert.deepEqual(await readFile(`${path}_data`), Buffer.concat(external));
  }
});

test('auto: a data file only when the model exceeds the limit', async () => {
  const folder = await mkdtemp(join(root, 'auto-'));
  const path = join(folder, 'model.onnx');
  const { length } = encodeModel(large()).bytes;
  await writeModel(path, large(), { limit: length });
  assert.deepEqual(await readdir(folder), ['model.onnx']);
  await writeModel(path, large(), { limit: length - 1 });
  assert.deepEqual((await readdir(folder)).sort(), ['model.onnx', 'model.onnx_data']);
  assert.deepEqual(await readModel(path), large());
});

test('never, or too large even so: model-too-large, and nothing is changed', async () => {
  const folder = await mkdtemp(join(root, 'never-'));
  const path = join(folder, 'model.onnx');
  await writeFile(path, 'old');
  const error = {
    code: 'model-too-large',
    message: /model\.onnx: the model takes \d+ bytes, an ONNX file at most 5000/,
  };
  await assert.rejects(writeModel(path, large(), { externalData: 'never', limit: 5000 }), error);
  await assert.rejects(writeModel(path, large(), { limit: 100 }), { code: 'model-too-large' });
  assert.deepEqual(await readdir(folder), ['model.onnx']);
  assert.equal(await readFile(path, 'utf8'), 'old');
});

test('encodeModel takes a threshold', () => {
  const externalData = { location: 'w', threshold: 2048 };
  assert.deepEqual(Object.keys(placements(encodeModel(large(), { externalData }).bytes)), ['W', 'b']);
  assert.throws(() => encodeModel(large(), { externalData: { location: '../w' } }), /internal: .*leads out/);
});

test('no weight is copied on the way to the disk: the chunks are views', () => {
  const model = large();
  const { external } = encodeModel(model, { externalData: { location: 'w' } });
  const weight = model.graph.initializers.get('W')?.data as Float32Array;
  assert.ok(external.some((chunk) => chunk.buffer === weight.buffer));
});

/** A folder with a model of one external float32[4] tensor `t`, and `data` of 32 bytes beside it. */
async function crafted(entries: Entries, tensors = ['t']): Promise<string> {
  const folder = await mkdtemp(join(root, 'crafted-'));
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
  const initializer = tensors.map((name, i) => ({
    name,
    dataType: 1,
    dims: [4],
    dataLocation: 1,
    externalData:
      i === 0 ? externalData : [...externalData.filter(({ key }) => key !== 'offset'), { key: 'offset', value: '8' }],
  }));
  const graph = { initializer, node: [{ opType: 'Neg', input: ['t'], output: ['y'] }], output: [rawInfo('y')] };
  await writeFile(join(folder, 'model.onnx'), rawModel(graph));
  await writeFile(join(folder, 'data'), new Uint8Array(Float32Array.from({ length: 8 }, (_, i) => i).buffer));
  return folder;
}

const firstValue = async (folder: string): Promise<unknown> =>
  (await readModel(join(folder, 'model.onnx'))).graph.initializers.get('t')?.data[0];

test('offset and length are optional', async () => {
  assert.equal(await firstValue(await crafted({ location: 'data' })), 0);
  assert.equal(await firstValue(await crafted({ location: './data', offset: '16' })), 4);
});

const refused: Record<string, [string, RegExp, Entries]> = {
  'no location': ['corrupt-onnx', /tensor t is external, but has no location/, {}],
  'an absolute path': ['unsafe-external-data', /leads out/, { location: '/etc/passwd' }],
  'a Windows path': ['unsafe-external-data', /leads out/, { location: 'C:\\data' }],
  'a way up': ['unsafe-external-data', /leads out/, { location: 'x/../../data' }],
  'a way up with backslashes': ['unsafe-external-data', /leads out/, { location: '..\\data' }],
  'a NUL character': ['unsafe-external-data', /leads out/, { location: 'data\0' }],
  'an empty location': ['unsafe-external-data', /leads out/, { location: '' }],
  'a folder': ['unsafe-external-data', /not a file/, { location: '.' }],
  'a file that is not there': ['missing-external-data', /model\.onnx: its weights are in .*gone/, { location: 'gone' }],
  'an offset beyond the end': [
    'corrupt-onnx',
    /bytes 20 to 36 of data, which has 32/,
    { location: 'data', offset: '20' },
  ],
  'a negative offset': ['corrupt-onnx', /external offset "-4"/, { location: 'data', offset: '-4' }],
  'an offset beyond 2^53': ['corrupt-onnx', /external offset/, { location: 'data', offset: '99999999999999999999' }],
  'a length that is not that of the tensor': [
    'corrupt-onnx',
    /needs 16 bytes.* 12/,
    { location: 'data', length: '12' },
  ],
};
for (const [name, [code, message, entries]] of Object.entries(refused))
  test(`refused: ${name}`, async () => {
    await assert.rejects(firstValue(await crafted(entries)), { name: 'KdxError', code, message });
  });

test('refused: overlapping tensors, which could make a small file take any amount of memory', async () => {
  const folder = await crafted({ location: 'data', offset: '0' }, ['t', 'u', 'v']);
  // u and v are the same range; t, u and v together hold no more than the file.
  assert.equal(await firstValue(folder), 0);
  await writeFile(join(folder, 'data'), new Uint8Array(24));
  await assert.rejects(firstValue(folder), { code: 'corrupt-onnx', message: /overlaps/ });
});

test('links stay inside the folder, or the folder that the model itself is linked from', async () => {
  const inside = await crafted({ location: 'link' });
  await symlink('data', join(inside, 'link'));
  assert.equal(await firstValue(inside), 0);

  const outside = await crafted({ location: 'link' });
  await symlink(join(inside, 'data'), join(outside, 'link'));
  await assert.rejects(firstValue(outside), { code: 'unsafe-external-data', message: /is a link to/ });

  // The cache of the Hugging Face hub: snapshots/<id>/<name> -> ../../blobs/<hash>.
  const cache = await mkdtemp(join(root, 'hub-'));
  const snapshot = join(cache, 'snapshots', 'abc');
  await mkdir(snapshot, { recursive: true });
  await mkdir(join(cache, 'blobs'));
  const source = await crafted({ location: 'data' });
  for (const name of ['model.onnx', 'data']) {
    await writeFile(join(cache, 'blobs', `hash-${name}`), await readFile(join(source, name)));
    await symlink(join('..', '..', 'blobs', `hash-${name}`), join(snapshot, name));
  }
  assert.equal(await firstValue(snapshot), 0);
});

test('reading a model and writing it over itself keeps it', async () => {
  const path = join(root, 'over', 'model.onnx');
  await writeModel(path, large(), { externalData: 'always' });
  await writeModel(path, await readModel(path), { externalData: 'always' });
  assert.deepEqual(await readModel(path), large());
});

test('data that cannot be put in place leaves no model that would use it, and no temporary files', async () => {
  const folder = await mkdtemp(join(root, 'failing-'));
  const path = join(folder, 'model.onnx');
  await writeFile(path, 'old');
  await mkdir(join(`${path}_data`, 'x'), { recursive: true });
  await assert.rejects(writeModel(path, large(), { externalData: 'always' }));
  assert.deepEqual(await readdir(folder), ['model.onnx_data']);
});

test('weights that fail on the way leave the old model as it was', async (context) => {
  const folder = await mkdtemp(join(root, 'full-'));
  const path = join(folder, 'model.onnx');
  await writeModel(path, large(), { externalData: 'always' });
  const old = [await readFile(path), await readFile(`${path}_data`)];
  const probe = await open(path);
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  context.mock.method(Object.getPrototypeOf(probe) as typeof probe, 'writeFile', () => Promise.reject(full));
  await probe.close();
  await assert.rejects(writeModel(path, linear(1024, 512), { externalData: 'always' }), { code: 'disk-full' });
  assert.deepEqual([await readFile(path), await readFile(`${path}_data`)], old);
  assert.equal((await readdir(folder)).length, 2);
});

/** What is written is read back, and equal models give equal bytes. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { modelOf } from '../../src/graph/index.ts';
import { decodeModel, encodeModel, readModel, writeModel } from '../../src/onnx/index.ts';
import { proto } from '../../src/onnx/proto.ts';
import { everything, graphOf, info, linear, node } from './samples.ts';

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'kdx-onnx-'))));
after(() => rm(folder, { recursive: true }));

for (const [name, model] of Object.entries({ linear: linear(), everything: everything() })) {
  test(`${name}: decode(encode(model)) is the model`, () => {
    assert.deepEqual(decodeModel(encodeModel(model).bytes), model);
  });
  test(`${name}: read(write(model)) is the model, and the bytes are those of encode`, async () => {
    const path = join(folder, name, 'model.onnx');
    await writeModel(path, model);
    assert.deepEqual(await readModel(path), model);
    assert.deepEqual(new Uint8Array(await readFile(path)), encodeModel(model).bytes);
    assert.deepEqual(await readdir(join(folder, name)), ['model.onnx']);
  });
}

test('equal models give equal bytes', () => {
  assert.deepEqual(encodeModel(everything()).bytes, encodeModel(everything()).bytes);
  const { bytes } = encodeModel(everything());
  assert.deepEqual(encodeModel(decodeModel(bytes)).bytes, bytes);
});

test('bytes at an odd place of a larger buffer are read, and not kept', () => {
  const model = linear();
  const { bytes } = encodeModel(model);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  const decoded = decodeModel(shifted.subarray(3));
  shifted.fill(0);
  assert.deepEqual(decoded, model);
});

test('a value of unknown rank has no shape, a scalar an empty one, a symbolic dimension its name', () => {
  const graph = graphOf({
    inputs: [info('a', undefined), info('b', []), info('c', ['n', 2])],
    outputs: [info('d', undefined)],
    nodes: [node('Max', ['a', 'b', 'c'], ['d'])],
  });
  const message = proto.ModelProto.decode(encodeModel(modelOf(graph)).bytes);
  const shapes = message.graph?.input?.map((input) => input.type?.tensorType?.shape?.dim);
  assert.equal(shapes?.[0], undefined);
  assert.deepEqual(shapes?.[1], []);
  assert.deepEqual(
    shapes?.[2]?.map((dim) => dim.dimParam ?? Number(dim.dimValue)),
    ['n', 2],
  );
});

test('before IR version 4 initializers are written as inputs, and are none when read', () => {
  const model = { ...linear(), irVersion: 3 };
  const { bytes } = encodeModel(model);
  const message = proto.ModelProto.decode(bytes);
  assert.deepEqual(
    message.graph?.input?.map((input) => input.name),
    ['x', 'W', 'b'],
  );
  assert.deepEqual(decodeModel(bytes), model);
});

test('an invalid graph is not written', async () => {
  const model = modelOf(graphOf({ outputs: [info('y', [1])] }));
  const path = join(folder, 'invalid.onnx');
  await assert.rejects(writeModel(path, model), { code: 'invalid-graph' });
  await assert.rejects(readFile(path), { code: 'ENOENT' });
});

test('an attribute of integers that holds a fraction is our own bug', () => {
  const nodes = [node('Flatten', ['x'], ['y'], { axis: { type: 'int', value: 1.5 } })];
  const graph = graphOf({ inputs: [info('x', [1])], outputs: [info('y', [1])], nodes });
  assert.throws(() => encodeModel(modelOf(graph)), /^Error: internal: attribute axis .* 1\.5/);
});

test('a model that is missing, a folder or a text file is named', async () => {
  await assert.rejects(readModel(join(folder, 'no.onnx')), { code: 'file-not-found', message: /no\.onnx/ });
  await assert.rejects(readModel(folder), { code: 'not-a-file' });
  const path = join(folder, 'text.onnx');
  await writeFile(path, '{"model_type": "bert"}');
  await assert.rejects(readModel(path), { name: 'KdxError', code: 'corrupt-onnx', message: /text\.onnx: not an ONNX/ });
});

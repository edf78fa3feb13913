/** Folding files: what is written, that it is checked, and that nothing half-done stays. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compareAnswers, exportCheckpoint, foldFile, type FoldFileOptions } from '../../plugins/export/src/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { sha256File } from '../../src/files/index.ts';
import { modelOf, type Model } from '../../src/graph/index.ts';
import { decodeModel, encodeModel, readModel, writeModel } from '../../src/onnx/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { graphOf, info, linear, node } from '../onnx/samples.ts';
import { encoder, uniqueBytes } from '../passes/encoders.ts';
import { rejects } from '../support/failure.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { scopeOn } from './engine-scope.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

const signal = new AbortController().signal;
const options = (out: string, more: Partial<FoldFileOptions> = {}): FoldFileOptions => ({
  out,
  engine,
  signal,
  ...more,
});

const size = { layers: 12, unique: 1, hidden: 96, intermediate: 384, vocabulary: 2000 };
const exported = () => encoder(size, ['initializer', 'constant', 'transposed']);

test('an ALBERT of twelve copies folds to within 2 % of its unique bytes', async (t) => {
  const dir = await temporaryFolder(t);
  const file = join(dir, 'in.onnx');
  await writeModel(file, exported());
  const out = join(dir, 'below', 'out.onnx');
  const result = await foldFile(file, options(out));
  assert.deepEqual(result.answers, { checked: true, runs: 3, same: true });
  const [written] = result.files;
  assert.ok(written && written.bytes < 1.02 * uniqueBytes(size), `${written?.bytes} for ${uniqueBytes(size)}`);
  assert.equal(written.sha256, await sha256File(out));
  assert.deepEqual(await readdir(join(dir, 'below')), ['out.onnx']);

  const again = await foldFile(file, options(join(dir, 'again.onnx')));
  assert.equal(again.files[0]?.sha256, written.sha256);
  const twice = await foldFile(out, options(join(dir, 'twice.onnx')));
  assert.equal(twice.files[0]?.sha256, written.sha256);
  assert.deepEqual(twice.groups, []);
});

test('external data in and out', async (t) => {
  const dir = await temporaryFolder(t);
  const file = join(dir, 'in.onnx');
  await writeModel(file, exported(), { externalData: 'always' });
  const inside = await foldFile(file, options(join(dir, 'out.onnx')));
  assert.equal(inside.files.length, 1);
  const beside = await foldFile(file, options(join(dir, 'beside.onnx'), { externalData: 'always' }));
  assert.deepEqual(
    beside.files.map(({ path }) => path),
    [join(dir, 'beside.onnx'), join(dir, 'beside.onnx_data')],
  );
  assert.ok((beside.files[1]?.bytes as number) < 1.02 * uniqueBytes(size));
  const [one, two] = [await readModel(join(dir, 'out.onnx')), await readModel(join(dir, 'beside.onnx'))];
  assert.deepEqual(encodeModel(one).bytes, encodeModel(two).bytes);
});

test('nothing to fold: the same model is written', async (t) => {
  const dir = await temporaryFolder(t);
  const [file, out] = [join(dir, 'in.onnx'), join(dir, 'out.onnx')];
  await writeModel(file, linear());
  const { groups, bytesBefore, bytesAfter } = await foldFile(file, options(out));
  assert.deepEqual([groups, bytesBefore - bytesAfter], [[], 0]);
  assert.deepEqual(await readFile(out), await readFile(file));
});

test('what is there is kept, unless told otherwise', async (t) => {
  const dir = await temporaryFolder(t);
  const [file, out] = [join(dir, 'in.onnx'), join(dir, 'out.onnx')];
  await writeModel(file, exported());
  await writeFile(out, 'mine');
  await rejects(foldFile(file, options(out)), 'output-exists', /out\.onnx exists already/);
  assert.equal(await readFile(out, 'utf8'), 'mine');
  await rejects(foldFile(file, options(file)), 'output-exists', /in\.onnx exists already/);
  await writeFile(join(dir, 'new.onnx_data'), 'mine');
  await rejects(foldFile(file, options(join(dir, 'new.onnx'))), 'output-exists', /new\.onnx_data exists already/);
  await foldFile(file, options(out, { force: true }));
  await foldFile(file, options(file, { force: true, externalData: 'always' }));
  assert.deepEqual(await readFile(join(dir, 'out.onnx')), Buffer.from(encodeModel(await readModel(file)).bytes));
  assert.deepEqual((await readdir(dir)).sort(), ['in.onnx', 'in.onnx_data', 'new.onnx_data', 'out.onnx']);
});

test('no ONNX, no file, stopped: an error, and nothing is left', async (t) => {
  const dir = await temporaryFolder(t);
  const [file, out] = [join(dir, 'in.onnx'), join(dir, 'out.onnx')];
  await writeFile(join(dir, 'text.onnx'), 'this is no ONNX model');
  await mkdir(join(dir, 'folder'));
  await writeModel(file, exported());
  await rejects(foldFile(join(dir, 'text.onnx'), options(out)), 'corrupt-onnx', /text\.onnx: .*not? .*ONNX model/);
  await rejects(foldFile(join(dir, 'none.onnx'), options(out)), 'file-not-found', /none\.onnx does not exist/);
  await rejects(foldFile(join(dir, 'folder'), options(out)), 'not-a-file', /is a folder/);
  await rejects(foldFile(file, options(join(file, 'out.onnx'))), 'not-a-folder', /is a file/);
  await assert.rejects(foldFile(file, options(out, { signal: AbortSignal.abort() })), { name: 'AbortError' });
  assert.deepEqual((await readdir(dir)).sort(), ['folder', 'in.onnx', 'text.onnx']);
});

async function compare(dir: string, before: Model, after: Model) {
  const [one, two] = [join(dir, 'one.onnx'), join(dir, 'two.onnx')];
  await writeModel(one, before);
  await writeModel(two, after);
  return compareAnswers(before.graph, one, two, engine, signal);
}

test('files that answer otherwise are told apart, in one bit', async (t) => {
  const dir = await temporaryFolder(t);
  const model = linear();
  const changed = decodeModel(encodeModel(model).bytes);
  const weight = changed.graph.initializers.get('W');
  assert.ok(weight);
  (weight.data as Float32Array)[4]! *= 1 + 2 ** -22;
  assert.deepEqual(await compare(dir, model, model), { checked: true, runs: 3, same: true });
  const found = await compare(dir, model, changed);
  assert.deepEqual(found, { checked: true, runs: 3, same: false, difference: 'the output y differs' });
  const { graph } = linear(2, 4);
  const broken = { ...model, graph: { ...graph, inputs: [info('x', ['batch', 3])] } };
  const failing = await compare(dir, model, broken);
  assert.ok(failing.checked && !failing.same);
  assert.match(failing.difference ?? '', /does not run/);
});

test('what cannot be compared says why', async (t) => {
  const dir = await temporaryFolder(t);
  const unknown = modelOf(
    graphOf({
      inputs: [info('x', [2])],
      outputs: [info('y', [2])],
      nodes: [{ ...node('Thing', ['x'], ['y']), domain: 'nobody.knows' }],
    }),
  );
  const cases: readonly [Model, RegExp][] = [
    [{ ...unknown, opsets: { '': 17, 'nobody.knows': 1 } }, /the file itself does not run: .*Thing/],
    [identity(info('x', undefined)), /can be made up for the input x float32\[\?\]/],
    [identity(info('x', [2], 'string')), /can be made up for the input x string\[2\]/],
    [identity(info('x', [2 ** 31])), /can be made up for the input x float32/],
    [noise(), /different answers to the same inputs/],
  ];
  for (const [model, reason] of cases) {
    const found = await compare(dir, model, model);
    assert.ok(!found.checked);
    assert.match(found.reason, reason);
  }
  const out = join(dir, 'out.onnx');
  const { answers } = await foldFile(join(dir, 'one.onnx'), options(out));
  assert.equal(answers.checked, false);
  assert.deepEqual(encodeModel(await readModel(out)).bytes, encodeModel(noise()).bytes);
});

function identity(input: ReturnType<typeof info>): Model {
  const outputs = [{ ...input, name: 'y' }];
  return modelOf(graphOf({ inputs: [input], outputs, nodes: [node('Identity', ['x'], ['y'])] }));
}

function noise(): Model {
  const shape = { type: 'ints', value: [64] } as const;
  return modelOf(graphOf({ outputs: [info('y', [64])], nodes: [node('RandomNormal', [], ['y'], { shape })] }));
}

test('kdx export shares what is shared, and says so', async (t) => {
  const dir = await temporaryFolder(t);
  const common = { withEngine: scopeOn(engine), progress: silentProgress, signal };
  await writeTinyClassifier(join(dir, 'plain'));
  const plain = await exportCheckpoint(join(dir, 'plain'), { out: join(dir, 'out'), ...common, runtimes: ['node'] });
  assert.deepEqual(plain.sharing, { weights: [], savedBytes: 0 });

  const config = { num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] };
  await writeTinyClassifier(join(dir, 'shared'), { config });
  const shared = await exportCheckpoint(join(dir, 'shared'), { out: join(dir, 'out2'), ...common });
  assert.equal(shared.sharing?.weights.length, 2 * 16);
  assert.ok(shared.sharing.weights.every(({ uses }) => uses === 2));
  const twice = await exportCheckpoint(join(dir, 'shared'), { out: join(dir, 'out3'), ...common });
  assert.deepEqual(twice.files, shared.files);
});

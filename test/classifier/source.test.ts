/** What a classifier can be opened from, and what cannot be one. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { copyTokenizerFiles } from '../../src/checkpoint/index.ts';
import { checkpointModel, openClassifier, openSource, predict } from '../../src/classifier/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import type { Model } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { temporaryFolder, tinyClassifierJson, writeTinyClassifier } from '../support/tiny-classifier.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

/** A checkpoint folder `model`, and `exported` with the same model as ONNX. */
async function folders(t: TestContext) {
  const dir = await temporaryFolder(t);
  const [model, exported] = [join(dir, 'model'), join(dir, 'exported')];
  const file = join(exported, 'onnx', 'model.onnx');
  await writeTinyClassifier(model);
  const source = await openSource(model);
  const graph = checkpointModel(source.checkpoint!);
  await writeModel(file, graph);
  await writeFile(join(exported, 'config.json'), await readFile(join(model, 'config.json')));
  await copyTokenizerFiles(model, exported);
  return { dir, model, exported, file, graph };
}

function rejects(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  return assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof KdxError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.equal(error.exitCode, 2);
    return true;
  });
}

const open = async (ref: string) => openClassifier(await openSource(ref), engine);

test('a checkpoint, an exported folder and an ONNX file answer the same', async (t) => {
  const { model, exported, file } = await folders(t);
  const texts = [{ text: 'a clever battery' }, { text: 'a', pair: 'b' }, { text: '' }];
  const expected = await predict(await open(model), texts);
  assert.deepEqual(
    expected.map(({ text, pair }) => ({ text, ...(pair !== undefined && { pair }) })),
    texts,
  );
  for (const ref of [exported, file]) {
    const classifier = await open(ref);
    assert.equal(classifier.source.ref, ref);
    assert.equal(classifier.source.dir, exported);
    const found = await predict(classifier, texts);
    assert.deepEqual(found, expected);
  }
});

test('a folder with weights is a checkpoint, whatever lies in onnx/', async (t) => {
  const { model, file } = await folders(t);
  await mkdir(join(model, 'onnx'));
  await writeFile(join(model, 'onnx', 'model.onnx'), await readFile(file));
  assert.ok((await openSource(model)).checkpoint);
});

test('a text is cut to what tokenizer and model allow', async (t) => {
  const { model } = await folders(t);
  const classifier = await open(model);
  const long = { text: 'x '.repeat(500) };
  const short = { text: 'x '.repeat(62) };
  const [a, b] = await predict(classifier, [long, short]);
  assert.deepEqual(a!.logits, b!.logits, 'the tokenizer states 64 tokens, two of them special');
});

test('probabilities sum to 1; regression gives its value', async (t) => {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { config: { id2label: { 0: 'a', 1: 'b', 2: 'c' } } });
  const [three] = await predict(await open(dir), [{ text: 'superb' }]);
  const exps = three!.logits.map(Math.exp);
  const best = exps.indexOf(Math.max(...exps));
  assert.equal(three!.label, ['a', 'b', 'c'][best]);
  assert.ok(Math.abs(three!.score - exps[best]! / exps.reduce((x, y) => x + y)) < 1e-12);
  await writeTinyClassifier(dir, { config: { id2label: { 0: 'score' } } });
  const [value] = await predict(await open(dir), [{ text: 'superb' }]);
  assert.equal(value!.label, undefined);
  assert.equal(value!.score, value!.logits[0]);
});

test('files that are no classifier', async (t) => {
  const { dir, exported, file, graph } = await folders(t);
  await rejects(openSource(join(dir, 'none.onnx')), 'file-not-found', /none\.onnx does not exist/);
  await rejects(openSource(dir), 'not-a-checkpoint', /no config\.json and no model\.safetensors/);

  const renamed = (change: (name: string) => string, of: 'inputs' | 'outputs'): Model => ({
    ...graph,
    graph: {
      ...graph.graph,
      [of]: graph.graph[of].map((info) => ({ ...info, name: change(info.name) })),
      nodes: graph.graph.nodes.map((node) => ({ ...node, [of]: node[of].map(change) })),
    },
  });
  await writeModel(
    file,
    renamed((name) => (name === 'logits' ? 'output_0' : name), 'outputs'),
  );
  await rejects(open(exported), 'not-a-classifier', /model\.onnx returns output_0, but no logits/);
  await writeModel(
    file,
    renamed((name) => (name === 'token_type_ids' ? 'segments' : name), 'inputs'),
  );
  await rejects(open(exported), 'not-a-classifier', /model\.onnx reads segments/);

  await writeModel(file, graph);
  await writeFile(
    join(exported, 'config.json'),
    JSON.stringify({ ...tinyClassifierJson, id2label: { 0: 'a', 1: 'b', 2: 'c' } }),
  );
  const three = await open(exported);
  await rejects(predict(three, [{ text: 'x' }]), 'label-mismatch', /returns logits \[1, 2\], .* has 3 label/);

  await writeFile(file, (await readFile(file)).subarray(0, 2000));
  await rejects(open(file), 'corrupt-onnx', /model\.onnx/);
  await rm(join(exported, 'config.json'));
  await rejects(open(file), 'not-a-checkpoint', /no config\.json beside .*model\.onnx or in the folder above/);
});

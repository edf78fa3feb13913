/** kdx inspect: checkpoints, exported folders and ONNX files. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyTokenizerFiles, loadCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts';
import { checkpointModel } from '../../src/classifier/index.ts';
import { inspectModel, type Inspection } from '../../src/commands/inspection.ts';
import { KdxError } from '../../src/errors/index.ts';
import { tensorOf, type Model } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { runKdx } from '../cli/program.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

test('a checkpoint folder', async (t) => {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { config: { num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] } });
  const { model, folder, onnx } = await inspectModel(dir);
  assert.equal(model, dir);
  assert.deepEqual(onnx, []);
  assert.deepEqual(folder?.architecture, {
    type: 'bert',
    layers: 4,
    storedLayers: 2,
    hidden: 16,
    heads: 2,
    intermediate: 24,
    activation: 'gelu',
    vocabulary: 300,
    positions: 160,
  });
  assert.deepEqual(folder.labels, ['negative', 'positive']);
  assert.equal(folder.tokenizer?.maxLength, 64);
  const { weights } = folder;
  const embeddings = (300 + 160 + 2 + 2) * 16;
  const layer = 4 * (16 * 16 + 16) + 2 * 16 * 24 + 24 + 16 + 4 * 16;
  const head = 16 * 16 + 16 + 2 * 16 + 2;
  assert.deepEqual(weights?.groups, {
    embeddings: { parameters: embeddings, bytes: 4 * embeddings },
    encoder: { parameters: 2 * layer, bytes: 8 * layer },
    head: { parameters: head, bytes: 4 * head },
  });
  assert.equal(weights.parameters, embeddings + 2 * layer + head);
  assert.equal(weights.bytes, 4 * weights.parameters);
  assert.equal(weights.head, true);
});

test('an encoder without head, tensors of others, no tokenizer', async (t) => {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { vocabularyOnly: true });
  const { weights } = await loadCheckpoint(dir);
  const encoder = new Map([...weights].filter(([name]) => !/^classifier\.|\.pooler\./.test(name)));
  await writeSafetensors(
    join(dir, 'model.safetensors'),
    new Map([...encoder, ['cls.bias', tensorOf('float32', [1], [0])]]),
  );
  await rm(join(dir, 'vocab.txt'));
  const { folder } = await inspectModel(dir);
  assert.equal(folder?.weights?.head, false);
  assert.deepEqual(folder.weights.extra, ['cls.bias']);
  assert.equal('head' in folder.weights.groups, false);
  assert.equal(folder.tokenizer, undefined);
});

/** A graph with a copy of one weight under another name, read by one of the layers. */
function withCopy(model: Model, name: string): Model {
  const initializers = new Map(model.graph.initializers);
  const value = initializers.get(name)!;
  initializers.set('copy', { ...value, data: (value.data as Float32Array).slice() });
  return { ...model, graph: { ...model.graph, initializers } };
}

test('an ONNX file: format, operators, sizes, weights stored twice, external data', async (t) => {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir);
  const file = join(dir, 'm.onnx');
  const name = 'bert.encoder.layer.1.output.dense.weight';
  await writeModel(file, withCopy(checkpointModel(await loadCheckpoint(dir)), name), { externalData: 'always' });
  const { folder, onnx } = await inspectModel(file);
  assert.equal(folder, undefined);
  const [found] = onnx;
  assert.ok(found);
  assert.equal(found.file, 'm.onnx');
  assert.equal(found.irVersion, 8);
  assert.deepEqual(found.opsets, { '': 17 });
  assert.equal(found.inputs['input_ids'], 'int64[batch_size,sequence_length]');
  assert.deepEqual(found.outputs, { logits: 'float32[batch_size,2]' });
  assert.equal(found.operators['Softmax'], 2);
  assert.equal(
    found.nodes,
    Object.values(found.operators).reduce((sum, count) => sum + count, 0),
  );
  assert.deepEqual(found.duplicates, [{ names: [name, 'copy'], bytes: 4 * 16 * 24 }]);
  assert.equal(found.foldableBytes, 4 * 16 * 24);
  assert.deepEqual(found.largest[0], {
    name: 'bert.embeddings.word_embeddings.weight',
    type: 'float32[300,16]',
    bytes: 4 * 16 * 300,
  });
  assert.equal(found.fileBytes, (await stat(file)).size);
  assert.deepEqual(found.externalData, { file: 'm.onnx_data', bytes: (await stat(`${file}_data`)).size });
  assert.equal(
    found.bytes,
    Object.values(found.bytesByType).reduce((sum, bytes) => sum + bytes, 0),
  );
});

test('an exported folder is both', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, exported] = [join(dir, 'model'), join(dir, 'exported')];
  await writeTinyClassifier(model);
  await mkdir(exported);
  await writeModel(join(exported, 'onnx/model.onnx'), checkpointModel(await loadCheckpoint(model)));
  await writeFile(join(exported, 'config.json'), await readFile(join(model, 'config.json')));
  await copyTokenizerFiles(model, exported);
  const [a, b] = [await inspectModel(model), await inspectModel(exported)];
  assert.deepEqual(b.folder?.architecture, a.folder?.architecture);
  assert.equal(b.folder?.weights, undefined);
  assert.equal(b.onnx[0]?.parameters, a.folder?.weights?.parameters);

  const [human, json] = await Promise.all([runKdx(['inspect', exported]), runKdx(['inspect', exported, '--json'])]);
  assert.equal(human.code, 0, human.stderr);
  assert.deepEqual(JSON.parse(json.stdout) as Inspection, b);
  assert.match(human.stdout, /^ {2}labels +negative, positive$/m);
  assert.match(human.stdout, /^ {2}format +IR version 8, opset 17$/m);
  assert.match(human.stdout, /^ {2}stored twice +nothing$/m);
  assert.match(human.stdout, /^encoder +[\d.]+k +[\d.]+ kB$/m);
  const [, ...lines] = human.stdout.split('\n');
  assert.ok(lines.every((line) => line.length <= 80));
});

test('what cannot be inspected', async (t) => {
  const dir = await temporaryFolder(t);
  const bad = join(dir, 'bad.onnx');
  await writeFile(bad, 'not a model');
  const cases: readonly [ref: string, code: string][] = [
    [bad, 'corrupt-onnx'],
    [join(dir, 'none.onnx'), 'file-not-found'],
    [join(dir, 'none'), 'file-not-found'],
    [dir, 'not-a-checkpoint'],
  ];
  for (const [ref, code] of cases)
    await assert.rejects(inspectModel(ref), (error: unknown) => {
      assert.ok(error instanceof KdxError, String(error));
      assert.equal(error.code, code);
      assert.equal(error.exitCode, 2);
      return true;
    });
});

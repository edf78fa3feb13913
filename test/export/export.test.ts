/** Exporting a checkpoint: what is in the folder, that it is checked, and that nothing half-done stays. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import {
  exportCheckpoint,
  exportModel,
  paritySentences,
  type ExportOptions,
  type Manifest,
} from '../../plugins/export/src/index.ts';
import { loadCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts';
import { checkpointModel, openClassifier, openSource, predict } from '../../src/classifier/index.ts';
import { encodedLengths, encodeExamples, loadTaskData } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { sha256File } from '../../src/files/index.ts';
import type { Model, Tensor } from '../../src/graph/index.ts';
import { readModel } from '../../src/onnx/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { rejects } from '../support/failure.ts';
import {
  reviewsFolder,
  temporaryFolder,
  tokenizerFolder,
  writeTinyClassifier,
  type TinyOptions,
} from '../support/tiny-classifier.ts';
import { scopeOn } from './engine-scope.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

function options(out: string, more: Partial<ExportOptions> = {}): ExportOptions {
  const signal = new AbortController().signal;
  return { out, withEngine: scopeOn(engine), progress: silentProgress, signal, runtimes: ['node'], ...more };
}

/** A folder with a checkpoint `model` in it. */
async function place(t: TestContext, tiny?: TinyOptions) {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model, tiny);
  return { dir, model, out };
}

test('the layout that transformers.js and Optimum read, with provenance', async (t) => {
  const { dir, model, out } = await place(t);
  const result = await exportCheckpoint(model, options(out));
  const paths = ['config.json', 'kdx.json', 'onnx/model.onnx', 'tokenizer.json', 'tokenizer_config.json'];
  assert.deepEqual(
    result.files.map(({ path }) => path),
    paths,
  );
  for (const { path, bytes, sha256 } of result.files) {
    assert.equal((await readFile(join(out, path))).length, bytes);
    assert.equal(await sha256File(join(out, path)), sha256);
  }
  assert.deepEqual(await readdir(dir), ['model', 'out'], 'nothing else is left');

  const { graph, irVersion, opsets, producer } = await readModel(join(out, 'onnx/model.onnx'));
  assert.equal(irVersion, 8);
  assert.deepEqual(opsets, { '': 17 });
  assert.equal(producer.name, 'kdx');
  const shape = ['batch_size', 'sequence_length'];
  assert.deepEqual(
    graph.inputs,
    ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({ name, dtype: 'int64', shape })),
  );
  assert.deepEqual(graph.outputs, [{ name: 'logits', dtype: 'float32', shape: ['batch_size', 2] }]);

  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Record<string, unknown>;
  assert.equal(config['model_type'], 'bert');
  assert.deepEqual(config['id2label'], { 0: 'negative', 1: 'positive' });
  assert.equal('transformers.js_config' in config, false);

  const manifest = JSON.parse(await readFile(join(out, 'kdx.json'), 'utf8')) as Manifest;
  assert.deepEqual(manifest.source.weights, {
    'model.safetensors': await sha256File(join(model, 'model.safetensors')),
  });
  assert.equal(manifest.source.name, 'model');
  assert.deepEqual(
    manifest.files,
    result.files.filter(({ path }) => path !== 'kdx.json'),
  );
  const [described] = manifest.models;
  assert.equal(described?.operators['LayerNormalization'], 5);
  const { weights } = await loadCheckpoint(model);
  const count = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  assert.equal(described.parameters, count);
  assert.equal(result.parameters, count);
  assert.deepEqual(Object.keys(described.groups), ['embeddings', 'encoder', 'head', 'other']);
  assert.deepEqual(described.parity, result.parity);
  assert.ok(!JSON.stringify(manifest).includes(dir), 'no path of a machine');
});

test('the gate runs on texts of many lengths, pairs among them', async (t) => {
  const { model, out } = await place(t);
  const { parity } = await exportCheckpoint(model, options(out));
  assert.equal(parity.sentences, paritySentences.length);
  assert.equal(parity.agreement, 1);
  assert.ok(parity.maxAbsDifference > 0, 'two executions that are not the same graph');
  assert.ok(parity.maxAbsDifference < 1e-5);
  assert.ok(parity.rmsDifference <= parity.maxAbsDifference);

  const { tokenizer } = await openSource(model);
  const examples = paritySentences.map((text, id) => ({ ...text, id, label: 0 }));
  const lengths = [...encodedLengths(encodeExamples(tokenizer, examples, 160))];
  assert.ok(lengths.some((length) => length > 128));
  assert.ok(lengths.some((length) => length <= 3));
  assert.ok(paritySentences.some(({ pair }) => pair !== undefined));
  assert.ok(paritySentences.some(({ text }) => /[^\0-\u024f\u2000-\u20ff]/.test(text)));
});

test('the same input gives the same bytes', async (t) => {
  const { dir, model, out } = await place(t);
  const again = join(dir, 'again');
  const [a, b] = [await exportCheckpoint(model, options(out)), await exportCheckpoint(model, options(again))];
  assert.deepEqual(a.files, b.files);
});

test('shared layers are stored once', async (t) => {
  const shared = await place(t, { config: { num_hidden_layers: 4, kdx_layer_plan: [0, 1, 0, 1] } });
  const plain = await place(t);
  const a = await exportCheckpoint(shared.model, options(shared.out));
  const b = await exportCheckpoint(plain.model, options(plain.out));
  assert.equal(a.parameters, b.parameters);
  const { graph } = await readModel(join(shared.out, 'onnx/model.onnx'));
  assert.equal(graph.nodes.filter(({ opType }) => opType === 'Softmax').length, 4, 'four layers run');
});

/** A graph with one element of a weight moved. */
function perturbed(model: Model, name: string, by: number): Model {
  const initializers = new Map(model.graph.initializers);
  const value = initializers.get(name) as Tensor<'float32'>;
  const data = value.data.slice();
  data[0]! += by;
  initializers.set(name, { ...value, data });
  return { ...model, graph: { ...model.graph, initializers } };
}

test('the gate catches a single wrong weight, and nothing is left', async (t) => {
  const { dir, model, out } = await place(t);
  const source = await openSource(model);
  const { checkpoint } = source;
  assert.ok(checkpoint);
  const wrong = (name: string, by: number) =>
    exportModel(perturbed(checkpointModel(checkpoint), name, by), { ...source, checkpoint }, options(out));
  const message = /logits differ by up to 0\.0\d+ \(allowed 0\.0001\), most for ".*"; \d+ of 27 labels are the same/;
  await rejects(wrong('bert.encoder.layer.1.output.dense.weight', 0.1), 'parity-failed', message, 1);
  await rejects(wrong('classifier.bias', Number.NaN), 'parity-failed', /differ by up to Infinity/, 1);
  assert.deepEqual(await readdir(dir), ['model']);
  await rejects(exportCheckpoint(model, options(out, { tolerance: 0 })), 'parity-failed', /\(allowed 0\)/, 1);
  await wrong('classifier.bias', 1e-6);
  assert.deepEqual(await readdir(dir), ['model', 'out']);
});

test('a development set serves the gate and is measured', async (t) => {
  const { model, out } = await place(t);
  const data = await loadTaskData({ task: 'sst2', dir: reviewsFolder }, { splits: ['dev'] });
  const { parity, metrics } = await exportCheckpoint(model, options(out, { data }));
  assert.equal(parity.sentences, 256);
  assert.equal(metrics?.task, 'sst2');
  assert.equal(metrics.examples, data.dev.length);
  const manifest = JSON.parse(await readFile(join(out, 'kdx.json'), 'utf8')) as Manifest;
  assert.deepEqual(manifest.models[0]?.metrics, metrics);

  const classifier = await openClassifier(await openSource(model), engine);
  const answers = await predict(classifier, data.dev);
  const right = answers.filter(({ label }, i) => label === data.task.labels[data.dev[i]!.label]).length;
  assert.equal(metrics.values['accuracy'], right / data.dev.length);
});

test('a task with other labels is refused', async (t) => {
  const { dir, model, out } = await place(t, { config: { id2label: { 0: 'a', 1: 'b', 2: 'c' } } });
  const data = await loadTaskData({ task: 'sst2', dir: reviewsFolder }, { splits: ['dev'] });
  await rejects(exportCheckpoint(model, options(out, { data })), 'label-mismatch', /has 3 labels \(.*\), sst2 has 2/);
  assert.deepEqual(await readdir(dir), ['model']);
});

test('regression', async (t) => {
  const { model, out } = await place(t, { config: { id2label: { 0: 'score' } } });
  const { parity } = await exportCheckpoint(model, options(out));
  assert.equal(parity.agreement, 1);
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Record<string, unknown>;
  assert.equal(config['problem_type'], 'regression');
});

test('missing tokenizer files are made from vocab.txt', async (t) => {
  const { dir, model, out } = await place(t, { vocabularyOnly: true });
  await exportCheckpoint(model, options(out));
  const config = JSON.parse(await readFile(join(out, 'tokenizer_config.json'), 'utf8')) as Record<string, unknown>;
  assert.equal(config['tokenizer_class'], 'BertTokenizer');
  assert.equal(config['model_max_length'], 160, 'long texts are cut to the positions');
  const full = join(dir, 'full');
  await writeTinyClassifier(full);
  const [made, given] = [await openSource(out), await openSource(full)];
  const text = 'The battery is not at all clever !';
  assert.deepEqual(made.tokenizer.encode(text, undefined, 99), given.tokenizer.encode(text, undefined, 99));
});

test('weights in a data file of their own', async (t) => {
  const { model, out } = await place(t);
  const { files } = await exportCheckpoint(model, options(out, { externalData: 'always' }));
  assert.ok(files.some(({ path }) => path === 'onnx/model.onnx_data'));
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Record<string, unknown>;
  assert.deepEqual(config['transformers.js_config'], { use_external_data_format: { 'model.onnx': 1 } });
});

test('an output folder is replaced only when it is an earlier export and nothing else', async (t) => {
  const { dir, model, out } = await place(t);
  await mkdir(out);
  await exportCheckpoint(model, options(out));
  const first = await readFile(join(out, 'kdx.json'), 'utf8');
  await rejects(exportCheckpoint(model, options(out)), 'output-exists', /holds an earlier export/);

  await writeTinyClassifier(model, { seed: 2 });
  await exportCheckpoint(model, options(out, { force: true }));
  assert.notEqual(await readFile(join(out, 'kdx.json'), 'utf8'), first);

  await writeFile(join(out, 'notes.txt'), 'mine');
  await rejects(
    exportCheckpoint(model, options(out, { force: true })),
    'output-exists',
    /no part of it \(notes\.txt\)/,
  );
  await rejects(exportCheckpoint(model, options(model, { force: true })), 'output-exists', /is no export of kdx/);
  const file = join(dir, 'file');
  await writeFile(file, '');
  await rejects(exportCheckpoint(model, options(file)), 'not-a-folder', /is a file/);
  await rejects(exportCheckpoint(model, options(join(file, 'out'))), 'not-a-folder', /is a file/);
  assert.deepEqual((await readdir(dir)).sort(), ['file', 'model', 'out']);
});

test('a failed replacement leaves the earlier export', async (t) => {
  const { dir, model, out } = await place(t);
  await exportCheckpoint(model, options(out));
  const before = await sha256File(join(out, 'kdx.json'));
  await rejects(exportCheckpoint(model, options(out, { force: true, tolerance: 0 })), 'parity-failed', /allowed 0/, 1);
  assert.equal(await sha256File(join(out, 'kdx.json')), before);
  assert.deepEqual((await readdir(dir)).sort(), ['model', 'out']);
});

test('an interrupted export leaves nothing', async (t) => {
  const { dir, model, out } = await place(t);
  const signal = AbortSignal.abort();
  await assert.rejects(exportCheckpoint(model, options(out, { signal })), { name: 'AbortError' });
  assert.deepEqual(await readdir(dir), ['model']);
});

test('what cannot be exported', async (t) => {
  const { dir, model, out } = await place(t);
  const exported = join(dir, 'exported');
  await exportCheckpoint(model, options(exported));
  await rejects(exportCheckpoint(exported, options(out)), 'not-a-checkpoint', /is exported already/);
  await rejects(exportCheckpoint(dir, options(out)), 'not-a-checkpoint', /no config\.json and no model\.safetensors/);
  await rejects(exportCheckpoint(join(dir, 'none'), options(out)), 'file-not-found', /does not exist/);

  const { weights } = await loadCheckpoint(model);
  const encoder = new Map([...weights].filter(([name]) => !name.startsWith('classifier.')));
  await writeSafetensors(join(model, 'model.safetensors'), encoder);
  await rejects(exportCheckpoint(model, options(out)), 'no-classifier-head', /without a classification head/);
  await writeTinyClassifier(model);
  for (const name of await readdir(tokenizerFolder)) await rm(join(model, basename(name)), { force: true });
  await writeFile(join(model, 'config.json'), await readFile(join(exported, 'config.json')));
  await rejects(exportCheckpoint(model, options(out)), 'missing-tokenizer', /neither tokenizer\.json nor vocab\.txt/);
  assert.deepEqual((await readdir(dir)).sort(), ['exported', 'model']);
});

test('a pruned vocabulary, exported with tokenizer and table that fit each other', async (t) => {
  const { model, out } = await place(t);
  const texts = [{ text: 'the screen is never dull' }];
  const { vocabulary } = await exportCheckpoint(model, options(out, { pruneVocabulary: texts }));
  assert.ok(vocabulary && vocabulary.rows.after < vocabulary.rows.before);
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as { vocab_size: number };
  assert.equal(config.vocab_size, vocabulary.rows.after);
  const answers = async (ref: string) => {
    const classifier = await openClassifier(await openSource(ref), engine);
    const [answer] = await predict(classifier, texts);
    await classifier.release();
    return answer?.logits ?? [];
  };
  const [before, after] = [await answers(model), await answers(out)];
  assert.ok(before.every((logit, i) => Math.abs(logit - (after[i] as number)) < 1e-5));
});

/** Models that are no checkpoint: random weights of an architecture, ONNX files of any origin. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBenchSource, vocabularyRows } from '../../plugins/bench/src/index.ts';
import { checkpointModel, openSource } from '../../src/classifier/index.ts';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import type { Model, Node, ValueInfo } from '../../src/graph/index.ts';
import { bertFlops, bertParameters } from '../../src/nn/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { failure } from '../support/failure.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { useBenchScene } from './bench-scene.ts';

let model: Model;
const scene = useBenchScene({ student: 'alone/a.onnx', length: 16, seconds: 0.1 }, async (place) => {
  await writeTinyClassifier(place('teacher'));
  model = checkpointModel(await loadCheckpoint(place('teacher')));
  await mkdir(place('alone'));
  await writeModel(place('alone/a.onnx'), model);
  const small = { model_type: 'bert', vocab_size: 400, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
  await writeFile(
    place('small.json'),
    JSON.stringify({ ...small, intermediate_size: 32, max_position_embeddings: 40 }),
  );
});
const { place, run } = scene;

/** The model with other declarations of its inputs. */
function withInputs(change: (input: ValueInfo) => ValueInfo): Model {
  return { ...model, graph: { ...model.graph, inputs: model.graph.inputs.map(change) } };
}

/** The same for int32: each input is cast to what the rest reads. */
function int32Model(): Model {
  const { graph } = model;
  const casts = graph.inputs.map(({ name }): Node => ({
    name: `cast_${name}`,
    opType: 'Cast',
    domain: '',
    inputs: [name],
    outputs: [`${name}_64`],
    attributes: { to: { type: 'int', value: 7 } },
  }));
  const wide = new Map(graph.inputs.map(({ name }) => [name, `${name}_64`]));
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((name) => wide.get(name) ?? name) }));
  const inputs = graph.inputs.map((input) => ({ ...input, dtype: 'int32' as const }));
  return { ...model, graph: { ...graph, inputs, nodes: [...casts, ...nodes] } };
}

test('architectures with random weights have the published parameters and FLOPs, and no quality', async () => {
  const report = await run({
    teacher: 'config:bert-mini',
    students: ['config:bert-tiny', `config:${place('small.json')}`],
    data: scene.data,
  });
  const [tiny, small] = report.students;
  // Turc 2019: 4.4 M and 11.3 M parameters with a head for two labels.
  assert.equal(
    report.teacher.parameters,
    bertParameters({ layers: 4, hidden: 256, intermediate: 1024, labels: 2 }).total,
  );
  assert.equal((tiny!.parameters / 1e6).toFixed(1), '4.4');
  assert.equal(tiny!.flops, bertFlops({ layers: 2, hidden: 128, intermediate: 512, labels: 2 }, 16));
  assert.equal(small!.flops, bertFlops({ layers: 1, hidden: 16, intermediate: 32, labels: 2 }, 16));
  for (const { inputs, metric, answers } of [report.teacher, ...report.students])
    assert.deepEqual([inputs, metric, answers], ['random token ids', null, null]);
  for (const { retention, agreement, klDivergence } of report.students)
    assert.deepEqual([retention, agreement, klDivergence], [null, null, null]);
  // Random weights do not compress; about 8 % go in the exponents.
  assert.ok(tiny!.compressedBytes! > 0.85 * tiny!.bytes);
});

test('an ONNX file with nothing beside it reads random ids below its vocabulary', async () => {
  assert.equal(vocabularyRows(model.graph), 300);
  const report = await run({ data: scene.data });
  const [alone] = report.students;
  assert.deepEqual([alone!.inputs, alone!.metric, alone!.agreement], ['random token ids', null, null]);
  assert.equal(report.teacher.inputs, 'text');
  assert.ok(report.teacher.metric);
  assert.equal(alone!.sha256, report.teacher.sha256);
  const both = await run({ teacher: place('alone/a.onnx'), length: 'natural' });
  assert.ok(both.scenario.lengths!.max > 5);
});

test('inputs may be int32, with the same answers where there is a tokenizer', async () => {
  await mkdir(place('int32/onnx'), { recursive: true });
  await writeModel(place('int32/onnx/model.onnx'), int32Model());
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json'])
    await copyFile(join(place('teacher'), name), join(place('int32'), name));
  assert.equal(vocabularyRows(int32Model().graph), 300);
  const report = await run({ students: [place('int32')], data: scene.data, coldStarts: 1, tokenize: 'in' });
  const [student] = report.students;
  assert.equal(student!.agreement, 1);
  assert.equal(student!.answers, report.teacher.answers);
  assert.ok(student!.coldStartMs! > 0);
});

test('a file for one shape is run with that shape only', async () => {
  await writeModel(
    place('alone/fixed.onnx'),
    withInputs((input) => ({ ...input, shape: [1, 16] })),
  );
  const students = [place('alone/fixed.onnx')];
  assert.equal((await run({ students })).students.length, 1);
  await assert.rejects(
    run({ students, length: [16, 32] }),
    failure('fixed-shape', /fixed\.onnx takes \w+ \[1, 16\] only, not \[1, 32\]/),
  );
  await assert.rejects(run({ students, batch: 2 }), failure('fixed-shape', /not \[2, 16\]/));
});

test('what is no text classifier is refused with what it reads', async () => {
  const { graph } = model;
  const pixels = { name: 'pixel_values', dtype: 'float32', shape: ['n', 3] } as const;
  const cases: readonly [model: Model, message: RegExp][] = [
    [{ ...model, graph: { ...graph, inputs: [...graph.inputs, pixels] } }, /reads pixel_values, float32 \[n, 3\]/],
    [
      withInputs((input) => (input.name === 'attention_mask' ? { ...input, dtype: 'float32' } : input)),
      /reads attention_mask, float32 \[batch_size, sequence_length\]/,
    ],
    [withInputs((input) => ({ ...input, shape: ['n', 3, 4] })), /reads input_ids, int64 \[n, 3, 4\]/],
  ];
  for (const [other, message] of cases) {
    await writeModel(place('alone/other.onnx'), other);
    await assert.rejects(run({ students: [place('alone/other.onnx')] }), failure('not-a-classifier', message));
  }
  const three = { ...model.graph, outputs: [{ ...model.graph.outputs[0]!, shape: ['batch_size', 3] }] };
  await writeModel(place('alone/three.onnx'), { ...model, graph: three });
  await assert.rejects(run({ students: [place('alone/three.onnx')] }), failure('label-mismatch', /three\.onnx has 3/));
  await assert.rejects(run({ students: ['config:tinybert'] }), failure('unknown-architecture', /tinybert/));
  await assert.rejects(run({ students: [place('alone/absent.onnx')] }), failure('file-not-found', /absent/));
});

test('an export of random weights is known by its tokenizer', async () => {
  const source = await openSource(`config:${place('small.json')}`, { random: true });
  await mkdir(place('random/onnx'), { recursive: true });
  await writeModel(place('random/onnx/model.onnx'), await source.model());
  await copyFile(place('small.json'), place('random/config.json'));
  for (const [name, content] of Object.entries(source.tokenizer.files))
    await writeFile(join(place('random'), name), content);
  const opened = await openBenchSource(place('random'));
  assert.equal(opened.tokenizer, undefined);
  assert.equal(opened.maxPositions, 40);
  assert.ok((await openBenchSource(place('teacher'))).tokenizer);
});

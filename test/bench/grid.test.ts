/** Combinations of batch, length and threads on small models: what each cell holds, natural lengths, tokenizing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellInputs, type Reader } from '../../plugins/bench/src/index.ts';
import { combinationsOf } from '../../plugins/bench/src/combinations.ts';
import { loadTokenizer } from '../../src/data/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { numbersOf } from '../../src/graph/index.ts';
import { bertFlops } from '../../src/nn/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { pairedSpeedup } from '../../src/timing/index.ts';
import { tokenizerFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { useBenchScene } from './bench-scene.ts';

const scene = useBenchScene({ length: 32, seconds: 0.1 }, async (place) => {
  await writeTinyClassifier(place('teacher'), { config: { num_hidden_layers: 4 } });
  await writeTinyClassifier(place('student'), { config: { num_hidden_layers: 1 }, seed: 2 });
});
const { place, run } = scene;

test('every combination is measured once, devices changing slowest, then threads', () => {
  assert.deepEqual(
    combinationsOf({
      device: ['cpu', 'webgpu', 'cpu'],
      batch: [1, 8, 1],
      length: [16, 'natural'],
      threads: [1, 2],
    }).map((c) => Object.values(c).join()),
    ['cpu', 'webgpu'].flatMap((device) =>
      ['1,1,16', '1,1,natural', '1,8,16', '1,8,natural', '2,1,16', '2,1,natural', '2,8,16', '2,8,natural'].map(
        (rest) => `${device},${rest}`,
      ),
    ),
  );
});

test('a cell per combination; the first one is also the top level', async () => {
  const labels: string[] = [];
  const progress = { ...silentProgress, start: (label: string) => void labels.push(label) };
  const students = [place('student'), place('teacher')];
  const report = await run({ students, batch: [1, 3], length: [16, 32], threads: [1], progress });
  assert.deepEqual(
    report.grid.map(({ scenario: s }) => [s.kind, s.batch, s.length, s.threads]),
    [
      ['single-stream', 1, 16, 1],
      ['single-stream', 1, 32, 1],
      ['offline', 3, 16, 1],
      ['offline', 3, 32, 1],
    ],
  );
  assert.ok(labels.includes('4 of 4: warm up'));
  for (const cell of report.grid) {
    const names = cell.models.map(({ name }) => name);
    assert.deepEqual(
      cell.models.map(({ role }) => role),
      ['teacher', 'student', 'student'],
    );
    assert.deepEqual(
      cell.pairs.map(({ a, b }) => [a, b]),
      [
        [names[0], names[1]],
        [names[0], names[2]],
        [names[1], names[2]],
      ],
    );
    const [toFirst, , between] = cell.pairs;
    assert.equal(toFirst!.ratio, cell.models[1]!.speedup!.ratio);
    const [, first, second] = cell.samples;
    assert.equal(between!.ratio, pairedSpeedup(first!.ms, second!.ms, cell.openings).ratio);
    assert.equal(cell.models[0]!.speedup, undefined);
    assert.equal(cell.samples.length, 4);
    assert.ok(cell.samples.every(({ ms }) => ms.length === cell.rounds));
    assert.ok(cell.openings.length >= 3);
    const { batch, length } = cell.scenario;
    const [teacher] = cell.models;
    assert.ok(Math.abs((teacher!.throughput * teacher!.latencyMs.p50) / (1000 * batch) - 1) < 1e-9);
    assert.equal(teacher!.flops, bertFlops({ layers: 4, hidden: 16, intermediate: 24, labels: 2 }, length as number));
  }
  const [first] = report.grid;
  assert.deepEqual(report.scenario, first!.scenario);
  assert.deepEqual(report.samples, first!.samples);
  assert.deepEqual(report.teacher.latencyMs, first!.models[0]!.latencyMs);
  assert.deepEqual(report.students[0]!.speedup, first!.models[1]!.speedup);
});

test('natural lengths are those of the examples, a batch as long as its longest', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder);
  const reader: Reader = { inputs: inputNames(), tokenizer, vocabulary: 300, maxPositions: 160 };
  const options = { examples: scene.data.dev, batch: 4, length: 'natural', maxLength: 128, seed: 1 } as const;
  const { readers, lengths } = cellInputs([reader, { ...reader, tokenizer: undefined }], options);
  const [text, random] = readers;
  const seen = new Map(scene.data.dev.map((row) => [row.text, tokenizer.encode(row.text, row.pair, 128).ids.length]));
  const all: number[] = [];
  text!.feeds.forEach(({ input_ids, attention_mask }, i) => {
    const expected = text!.rows![i]!.map((row) => seen.get(row.text)!);
    all.push(...expected);
    assert.deepEqual(input_ids!.dims, [4, Math.max(...expected)]);
    const mask = numbersOf(attention_mask!);
    expected.forEach((tokens, row) => {
      const own = mask.slice(row * input_ids!.dims[1]!, (row + 1) * input_ids!.dims[1]!);
      assert.deepEqual(
        own.map((value) => value === 1),
        own.map((_, position) => position < tokens),
      );
    });
    // Random ids where text means nothing, of the same lengths.
    assert.deepEqual(random!.feeds[i]!['attention_mask'], attention_mask);
    assert.notDeepEqual(random!.feeds[i]!['input_ids'], input_ids);
    assert.ok(numbersOf(random!.feeds[i]!['input_ids']!).every((id) => id >= 0 && id < 300));
  });
  assert.equal(random!.rows, undefined);
  assert.ok(new Set(all).size > 5);
  assert.equal(lengths!.max, Math.max(...all));
  assert.ok(Math.abs(lengths!.mean - all.reduce((sum, n) => sum + n, 0) / all.length) < 1e-9);

  const cut = cellInputs([{ ...reader, maxPositions: 9 }, reader], options);
  assert.equal(cut.lengths!.max, 9);
  assert.ok(cut.readers.every(({ feeds }) => feeds.every(({ input_ids }) => input_ids!.dims[1]! <= 9)));
});

function inputNames() {
  return ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({ name, dtype: 'int64' as const }));
}

test('without any tokenizer the words of the texts are counted', () => {
  const reader: Reader = { inputs: inputNames(), tokenizer: undefined, vocabulary: 50, maxPositions: undefined };
  const examples = [{ text: "it's good", pair: 'no, bad.' }];
  const { readers, lengths } = cellInputs([reader], { examples, batch: 1, length: 'natural', maxLength: 64, seed: 1 });
  // it ' s good | no , bad . with three special tokens.
  assert.equal(lengths!.max, 11);
  assert.deepEqual(readers[0]!.feeds[0]!['input_ids']!.dims, [1, 11]);
});

test('a natural cell says how long its examples are, and what they cost on average', async () => {
  const report = await run({ length: ['natural'], data: scene.data });
  const { scenario, grid } = report;
  assert.equal(scenario.length, 'natural');
  assert.ok(scenario.lengths!.p50 > 4 && scenario.lengths!.max <= 128);
  const flops = (length: number) => bertFlops({ layers: 4, hidden: 16, intermediate: 24, labels: 2 }, length);
  const { flops: mean } = grid[0]!.models[0]!;
  assert.ok(mean! > flops(4) && mean! < flops(scenario.lengths!.max));
});

test('tokenizing can be part of a sample, which then takes longer', async () => {
  const options = { data: scene.data, length: 128, students: [place('teacher')], seconds: 0.5 };
  const [without, within] = [await run(options), await run({ ...options, tokenize: 'in' })];
  assert.deepEqual([without.scenario.tokenize, within.scenario.tokenize], ['out', 'in']);
  // 128 tokens take the tokenizer longer than this model.
  assert.ok(within.teacher.latencyMs.p50 > without.teacher.latencyMs.p50);
  const natural = await run({ data: scene.data, length: 'natural', tokenize: 'in', batch: 2 });
  assert.equal(natural.scenario.kind, 'offline');
  await assert.rejects(run({ students: ['config:bert-tiny'], tokenize: 'in' }), (error: unknown) => {
    assert.ok(error instanceof KdxError);
    assert.deepEqual([error.code, error.exitCode, error.suggestions], ['no-tokenizer', 2, ['--tokenize out']]);
    return true;
  });
});

test('an interruption in the middle of a grid keeps the cells that are done, and the rounds of the one at hand', async () => {
  const stoppedAt = (stage: string) => {
    const controller = new AbortController();
    let open = false;
    const progress = {
      ...silentProgress,
      start: (label: string) => void (open = label === stage),
      update: () => open && controller.abort(),
    };
    return { progress, signal: controller.signal, data: scene.data, length: [16, 32, 64] };
  };
  const measuring = await run(stoppedAt('2 of 3: measure (seconds)'));
  assert.deepEqual([measuring.partial, measuring.grid.length, measuring.grid[1]!.rounds], [true, 2, 1]);
  assert.equal(measuring.grid[0]!.stopReason === 'interrupted', false);
  assert.equal(measuring.teacher.metric, null);
  const warming = await run(stoppedAt('2 of 3: warm up'));
  assert.deepEqual([warming.partial, warming.grid.length], [true, 1]);
  await assert.rejects(run(stoppedAt('1 of 3: warm up')), { name: 'AbortError' });
});

test('every figure of quality, start-up and memory has its interval, every file its compressed size', async () => {
  const {
    teacher,
    students,
    data: examples,
  } = await run({ data: scene.data, coldStarts: 2, students: [place('student')] });
  const [student] = students;
  for (const model of [teacher, student!]) {
    const { value, ci95 } = model.metric!;
    assert.ok(ci95![0] < value && value < ci95![1]);
    // Two processes have a range and no interval.
    assert.deepEqual([model.coldStartCi95, model.peakRssCi95], [null, null]);
    assert.ok(model.coldStartRange![0] <= model.coldStartMs! && model.coldStartMs! <= model.coldStartRange![1]);
    assert.ok(model.peakRssRange![0] > 20e6);
    assert.ok(model.compressedBytes! > 1000 && model.compressedBytes! < model.bytes);
    assert.equal(model.answers!.split(' ').length, scene.data.dev.length);
    assert.equal(model.inputs, 'text');
  }
  const { retention, retentionCi95, agreement, agreementCi95, klDivergence, klCi95 } = student!;
  assert.ok(retentionCi95![0] <= retention! && retention! <= retentionCi95![1]);
  assert.ok(agreementCi95![0] < agreement! && agreement! < agreementCi95![1]);
  assert.ok(0 < klCi95![0] && klCi95![0] < klDivergence! && klDivergence! < klCi95![1]);
  assert.deepEqual([examples!.task, examples!.examples, examples!.sha256.length], ['sst2', scene.data.dev.length, 64]);
});

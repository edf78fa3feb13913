/** Logits of many examples, their order, and what is made of them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts';
import {
  computeLogits,
  openSource,
  predict,
  scoreClassifier,
  softmax,
  type Classifier,
  type RunBatch,
} from '../../src/classifier/index.ts';
import { taskNamed, type EncodedExamples, type Example } from '../../src/data/index.ts';
import { numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

/** Examples whose first token is their number, of all lengths up to `longest`. */
function numbered(count: number, longest: number): EncodedExamples {
  const random = seeded(2);
  const offsets = new Int32Array(count + 1);
  const ids: number[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(i + 1, ...Array.from({ length: random.integer(longest) }, () => 7));
    offsets[i + 1] = ids.length;
  }
  // Values of a regression.
  const labels = Float64Array.from({ length: count }, (_, i) => i / 5);
  return { count, ids: Int32Array.from(ids), typeIds: new Uint8Array(ids.length), offsets, labels, padId: 0 };
}

/** In place of a model: logits are the first token and the number of real tokens. */
function echo(batches: (readonly number[])[] = []): RunBatch {
  return ({ input_ids, attention_mask }) => {
    const { dims } = input_ids as Tensor;
    const [rows, length] = dims as [number, number];
    batches.push(dims);
    const [ids, mask] = [numbersOf(input_ids!), numbersOf(attention_mask!)];
    const answer = Array.from({ length: rows }, (_, row) => [
      ids[row * length]!,
      mask.slice(row * length, (row + 1) * length).reduce((sum, bit) => sum + bit, 0),
    ]);
    return Promise.resolve(tensorOf('float32', [rows, 2], answer.flat()));
  };
}

describe('computeLogits', () => {
  const examples = numbered(75, 40);
  const expected = Array.from({ length: 75 }, (_, i) => [
    i + 1,
    examples.offsets[i + 1]! - examples.offsets[i]!,
  ]).flat();

  for (const batch of [1, 7, 32, 100])
    it(`gives the order of the examples back, ${batch} at a time`, async () => {
      const batches: number[][] = [];
      const logits = await computeLogits(echo(batches), examples, { labels: 2, batch, maxLength: 40 });
      assert.deepEqual(logits, tensorOf('float32', [75, 2], expected));
      assert.equal(batches.length, Math.ceil(75 / batch));
      if (batch < 32) assert.ok(new Set(batches.map(([, length]) => length)).size >= 4, 'lengths are padded apart');
    });

  it('of nothing is nothing', async () => {
    assert.deepEqual((await computeLogits(echo(), numbered(0, 1), { labels: 2, maxLength: 8 })).dims, [0, 2]);
  });

  it('tells how far it is, and can be stopped', async () => {
    const told: number[] = [];
    const controller = new AbortController();
    const progress = {
      ...silentProgress,
      start: (label: string, total?: number) => (assert.equal(label, 'teacher'), told.push(total!)),
      update: (done: number) => told.push(done) === 3 && controller.abort(),
    };
    const options = { labels: 2, batch: 20, maxLength: 40, progress, label: 'teacher', signal: controller.signal };
    await assert.rejects(computeLogits(echo(), examples, options), { name: 'AbortError' });
    assert.deepEqual(told, [75, 20, 40]);
  });
});

describe('softmax', () => {
  const cases: readonly [number[], number[]][] = [
    [
      [0, 0],
      [0.5, 0.5],
    ],
    [
      [Math.log(3), 0],
      [0.75, 0.25],
    ],
    [
      [1000, 1000, -1000],
      [0.5, 0.5, 0],
    ],
    [[-800], [1]],
  ];
  for (const [row, expected] of cases)
    it(`of ${row.join(', ')}`, () =>
      softmax(row).forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < 1e-15)));
});

/** A classifier of a folder whose model answers with the first token and the number of tokens. */
async function fakeClassifier(t: TestContext, names: readonly string[]): Promise<Classifier> {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { config: { id2label: { ...names } } });
  const source = await openSource(dir);
  const run: RunBatch = async (inputs) => {
    const { dims, data } = (await echo()(inputs)) as Tensor<'float32'>;
    const width = names.length;
    return { dtype: 'float32', dims: [dims[0]!, width], data: data.filter((_, i) => width === 2 || i % 2 === 1) };
  };
  const maxLength = source.config.maxPositions;
  const labels = source.config.labels.length;
  const logits: Classifier['logits'] = (examples, options) =>
    computeLogits(run, examples, { labels, maxLength, ...options });
  return { source, run, maxLength, logits, release: () => Promise.resolve() };
}

describe('what logits say', () => {
  const texts = ['a', 'a b c d e f g h i j k l', 'a b'].map((text) => ({ text }));

  it('the label of the largest, with its probability', async (t) => {
    const classifier = await fakeClassifier(t, ['short', 'long']);
    const { clsId } = classifier.source.tokenizer;
    const predictions = await predict(classifier, texts);
    assert.deepEqual(
      predictions.map(({ text, label, logits }) => [text, label, logits[0]]),
      texts.map(({ text }, i) => [text, predictions[i]!.logits[1]! > clsId ? 'long' : 'short', clsId]),
    );
    for (const { logits, score } of predictions) assert.equal(score, Math.max(...softmax([...logits])));
    assert.ok(predictions[1]!.logits[1]! > predictions[0]!.logits[1]!);
  });

  it('a value, for a regression', async (t) => {
    const predictions = await predict(await fakeClassifier(t, ['score']), texts);
    for (const { label, score, logits } of predictions) assert.deepEqual([label, score], [undefined, logits[0]]);
    assert.ok(predictions[1]!.score > predictions[2]!.score);
  });

  it('how good the model is, for labels and for values', async (t) => {
    const examples: Example[] = texts.map(({ text }, id) => ({ id, text, label: [0.5, 4.75, 1.25][id]! }));
    const { metrics } = await scoreClassifier(await fakeClassifier(t, ['score']), taskNamed('stsb'), examples);
    assert.ok(Math.abs(metrics.spearman! - 1) < 1e-12);
    const classes = examples.map((example) => ({ ...example, label: 1 }));
    const classifier = await fakeClassifier(t, ['short', 'long']);
    const long = (await predict(classifier, texts)).filter(({ label }) => label === 'long').length;
    const score = await scoreClassifier(classifier, taskNamed('sst2'), classes);
    assert.equal(score.primary, long / texts.length);
    await assert.rejects(scoreClassifier(classifier, taskNamed('stsb'), examples), { code: 'label-mismatch' });
  });
});

describe('a checkpoint that is no classifier', () => {
  it('has no head', async (t) => {
    const dir = await temporaryFolder(t);
    await writeTinyClassifier(dir);
    const { weights } = await loadCheckpoint(dir);
    const encoder = new Map([...weights].filter(([name]) => !name.startsWith('classifier.')));
    await writeSafetensors(join(dir, 'model.safetensors'), encoder);
    await assert.rejects(openSource(dir), {
      code: 'no-classifier-head',
      exitCode: 2,
      suggestions: [`kdx finetune --model ${dir} --data DIR --task sst2 --out DIR`],
    });
  });

  it('has fewer rows than its tokenizer has tokens', async (t) => {
    const dir = await temporaryFolder(t);
    await writeTinyClassifier(dir, { config: { vocab_size: 20 } });
    await assert.rejects(openSource(dir), {
      code: 'vocabulary-mismatch',
      message: /the tokenizer has \d+ tokens, the embedding has 20 rows/,
    });
  });
});

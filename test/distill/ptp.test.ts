/** Labels of the pretraining with teacher's predictions. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ptpLabelNames,
  ptpLabels,
  ptpProblems,
  ptpSchema,
  ptpThresholds,
  type PtpThresholds,
} from '../../plugins/distill/src/ptp.ts';
import { tensorOf } from '../../src/graph/index.ts';

/** Two-class logits with these confidences; all predict class 1. */
function sure(...confidences: number[]) {
  const rows = confidences.flatMap((p) => [0, Math.log(p / (1 - p))]);
  return tensorOf('float64', [confidences.length, 2], rows);
}

describe('labels', () => {
  it('have the names of their ids', () =>
    assert.deepEqual(ptpLabelNames, [
      'confidently_correct',
      'unconfidently_correct',
      'confidently_wrong',
      'unconfidently_wrong',
    ]));

  it('are those of section 6.1 of the method, strictly above the threshold', () => {
    // 0.95 and 0.75 as the softmax gives them, so that equality is exact.
    const logits = sure(0.96, 0.95, 0.76, 0.75);
    const softmax = (i: number) => 1 / (1 + Math.exp(-logits.data[2 * i + 1]!));
    const thresholds = { correct: softmax(1), wrong: softmax(3) };
    const found = ptpLabels(logits, [1, 1, 0, 0], thresholds);
    assert.ok(Math.abs(thresholds.correct - 0.95) < 1e-12 && Math.abs(thresholds.wrong - 0.75) < 1e-12);
    assert.deepEqual([...found.labels], [0, 1, 2, 3]);
    assert.deepEqual(found.counts, [1, 1, 1, 1]);
    assert.deepEqual(found.thresholds, thresholds);
    assert.deepEqual(found.notes, []);
  });

  it('are four for three classes too, from the untempered softmax of float32 logits', () => {
    // The confidence is 0.909 at T = 1 and 0.42 at T = 10; large logits do not overflow.
    const logits = tensorOf('float32', [4, 3], [3, 0, 0, 0, 3, 0, 3, 0, 0, 1003, 1000, 1000]);
    const { labels, counts } = ptpLabels(logits, [0, 1, 2, 1], { correct: 0.9, wrong: 0.92 });
    assert.deepEqual([...labels], [0, 0, 3, 3]);
    assert.deepEqual(counts, [2, 0, 0, 2]);
  });

  it('take the first of equal logits for the prediction', () => {
    const logits = tensorOf('float32', [2, 2], [1, 1, 1, 1]);
    assert.deepEqual([...ptpLabels(logits, [0, 1], { correct: 0.4, wrong: 0.6 }).labels], [0, 3]);
  });

  it('refuse logits that do not belong to the examples, or are not numbers', () => {
    const any = { correct: 0.5, wrong: 0.5 };
    assert.throws(() => ptpLabels(sure(0.9, 0.8), [1], any), /internal: logits of 2 examples, labels of 1/);
    assert.throws(() => ptpLabels(tensorOf('float32', [0, 2], []), [], 'median'), /internal: logits of 0 examples/);
    assert.throws(() => ptpLabels(tensorOf('float32', [1, 2], [NaN, 0]), [0], any), /example 0 are not finite/);
  });
});

describe('median thresholds', () => {
  const near = (actual: PtpThresholds, correct: number, wrong: number) => {
    assert.ok(Math.abs(actual.correct - correct) < 1e-12, `${actual.correct}, not ${correct}`);
    assert.ok(Math.abs(actual.wrong - wrong) < 1e-12, `${actual.wrong}, not ${wrong}`);
  };

  it('are those of correct and of wrong predictions', () => {
    const found = ptpLabels(sure(0.99, 0.7, 0.9, 0.8, 0.55, 0.65, 0.6), [1, 1, 1, 1, 0, 0, 0], 'median');
    near(found.thresholds, 0.85, 0.6);
    assert.deepEqual([...found.labels], [0, 1, 0, 1, 3, 2, 3]);
    assert.deepEqual(found.counts, [2, 2, 1, 2]);
    assert.deepEqual(found.notes, []);
  });

  it('of the train set go to the development set', () => {
    const { thresholds } = ptpLabels(sure(0.9, 0.7, 0.8, 0.6), [1, 1, 0, 0], 'median');
    const dev = ptpLabels(sure(0.85, 0.75, 0.75, 0.65), [1, 1, 0, 0], thresholds);
    assert.deepEqual(dev.thresholds, thresholds);
    assert.deepEqual([...dev.labels], [0, 1, 2, 3]);
  });

  it('without an error: one threshold for both, and a note', () => {
    const found = ptpLabels(sure(0.9, 0.7), [1, 1], 'median');
    near(found.thresholds, 0.8, 0.8);
    assert.deepEqual(found.counts, [1, 1, 0, 0]);
    assert.equal(found.notes.length, 1);
    assert.match(found.notes[0]!, /^the teacher has no wrong prediction: the threshold 0\.8000 of the correct ones/);
  });

  it('without a success: likewise', () => {
    const found = ptpLabels(sure(0.9, 0.7), [0, 0], 'median');
    near(found.thresholds, 0.8, 0.8);
    assert.deepEqual(found.counts, [0, 0, 1, 1]);
    assert.match(found.notes[0]!, /^the teacher has no correct prediction: .* of the wrong ones/);
  });

  it('of saturated confidences leave nobody confident, and a note', () => {
    // Both are exactly 1 in float64.
    const logits = tensorOf('float32', [4, 2], [0, 60, 0, 80, 0, 1, 0, 2]);
    const found = ptpLabels(logits, [1, 1, 0, 0], 'median');
    assert.equal(found.thresholds.correct, 1);
    assert.deepEqual(found.counts, [0, 2, 1, 1]);
    assert.deepEqual(found.notes, ["none of the teacher's 2 correct predictions is confident"]);
  });

  it('a group that is wholly confident is noted too', () => {
    const found = ptpLabels(sure(0.9, 0.8, 0.6), [1, 0, 0], { correct: 0.5, wrong: 0.7 });
    assert.deepEqual(found.notes, ["none of the teacher's 1 correct predictions is unconfident"]);
  });
});

describe('the options', () => {
  const options = (thresholds?: unknown) => ptpSchema.parse(thresholds === undefined ? {} : { thresholds });
  const task = (name: string, kind: 'classification' | 'regression' = 'classification') => ({ name, kind });

  it('default to medians', () => assert.equal(ptpThresholds(task('wnli'), options()), 'median'));

  const published: Readonly<Record<string, PtpThresholds>> = {
    rte: { correct: 0.8, wrong: 0.6 },
    mrpc: { correct: 0.95, wrong: 0.75 },
    sst2: { correct: 0.98, wrong: 0.8 },
    qnli: { correct: 0.98, wrong: 0.7 },
    cola: { correct: 0.95, wrong: 0.7 },
  };
  for (const [name, expected] of Object.entries(published))
    it(`published for ${name}`, () => {
      assert.deepEqual(ptpProblems(task(name), options('published')), []);
      assert.deepEqual(ptpThresholds(task(name), options('published')), expected);
    });

  it('as numbers', () => {
    const own = { correct: 0.9, wrong: 0.7 };
    assert.deepEqual(ptpThresholds(task('mnli'), options(own)), own);
    assert.deepEqual(ptpProblems(task('mnli'), options(own)), []);
  });

  it('are refused where there is nothing published, and for a regression', () => {
    const [missing, ...none] = ptpProblems(task('mnli'), options('published'));
    assert.deepEqual(none, []);
    assert.match(missing!, /^thresholds: published exist for rte, mrpc, sst2, qnli, cola, not for mnli/);
    assert.throws(() => ptpThresholds(task('mnli'), options('published')), /internal: no published thresholds/);
    assert.match(ptpProblems(task('stsb', 'regression'), options())[0]!, /^PTP needs classes, stsb is a regression/);
  });

  const refused: readonly [unknown, RegExp][] = [
    ['mean', /^expected median, published or \{correct/],
    [0.9, /^expected median, published or \{correct/],
    [{ correct: 1.1, wrong: 0.5 }, /<=1$/],
    [{ correct: 0.9 }, /^expected median, published or \{correct/],
    [{ correct: 0.9, wrong: 0.5, t: 1 }, /^Unrecognized key: "t"$/],
  ];
  for (const [thresholds, message] of refused)
    it(`not accepted: ${JSON.stringify(thresholds)}`, () =>
      assert.match(ptpSchema.safeParse({ thresholds }).error!.issues[0]!.message, message));
});

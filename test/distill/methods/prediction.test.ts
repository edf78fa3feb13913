/** Prediction distillation of TinyBERT. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { prediction } from '../../../plugins/distill/src/methods/prediction.ts';
import { assertLoss, assertNear, checkGradients, configOf, measure, type PlainStep } from './context.ts';

const options = prediction.options.parse({});
const own = [
  [1, 2, 0.5],
  [0, -1, 1],
];
const taught = [
  [2, 1, 0],
  [-1, 0, 3],
];
const step: PlainStep = { student: { logits: own }, teacher: { logits: taught }, mask: [[1], [1]] };
const withFiller: PlainStep = {
  student: { logits: [...own, [50, -50, 7]] },
  teacher: { logits: [...taught, [-50, 50, 7]] },
  mask: [[1], [1], [1]],
  weights: [1, 1, 0],
};
const ensemble: PlainStep = {
  ...step,
  teacher: {
    logits: taught,
    otherLogits: [
      [
        [0, 1, 2],
        [3, 0, 0],
      ],
    ],
  },
};

describe('the prediction vector', () => {
  const cases: readonly [given: object, expected: number][] = [
    [{}, 0.29710577246403097],
    [{ reduction: 'batchmean' }, 0.891317317392093],
    [{ temperature: 2 }, 0.3365256128399324],
  ];
  for (const [given, expected] of cases) {
    it(JSON.stringify(given), () => assertLoss(prediction, given, step, expected));
    it(`${JSON.stringify(given)}, with filler`, () => assertLoss(prediction, given, withFiller, expected));
  }

  it('gradient of the first row', async () => {
    const { gradients } = await measure(prediction, {}, step);
    const row = [-0.0723361764, 0.063967208, 0.0083689683];
    row.forEach((expected, i) => assertNear(gradients['logits']![i]!, expected, 5e-11, `gradient ${i}`));
  });
});

describe('prediction', () => {
  for (const given of [{}, { temperature: 3, reduction: 'batchmean' }])
    for (const [title, batch] of Object.entries({ 'one teacher': step, filler: withFiller, 'two teachers': ensemble }))
      it(`has the gradient of ${JSON.stringify(given)}, ${title}`, () => checkGradients(prediction, given, batch));

  it('of its teacher is the entropy, with a gradient of 0', async () => {
    const same: PlainStep = { ...step, teacher: step.student };
    const { loss, gradients } = await measure(prediction, { reduction: 'batchmean' }, same);
    const entropy = (logits: number[]) => {
      const p = softmax(logits);
      return -p.reduce((sum, x) => sum + x * Math.log(x), 0);
    };
    assertNear(loss, (entropy(own[0]!) + entropy(own[1]!)) / 2, 1e-12);
    gradients['logits']!.forEach((value) => assertNear(value, 0, 1e-15, 'gradient'));
  });

  it('of two teachers is that of their mean distribution', async () => {
    const other = ensemble.teacher!.otherLogits![0] as number[][];
    const mean = taught.map((row, i) => {
      const [a, b] = [softmax(row), softmax(other[i]!)];
      return a.map((x, k) => Math.log((x + b[k]!) / 2));
    });
    const expected = await measure(prediction, {}, { ...step, teacher: { logits: mean } });
    await assertLoss(prediction, {}, ensemble, expected.loss);
  });

  it('of a regression is the squared error to the labels, and needs no teacher', async () => {
    const regression: PlainStep = {
      student: { logits: [[1], [2], [90]] },
      mask: [[1], [1], [1]],
      weights: [1, 1, 0],
      labels: [0, 4, 0],
      regression: true,
    };
    await assertLoss(prediction, { temperature: 5 }, regression, (1 ** 2 + 2 ** 2) / 2);
    await checkGradients(prediction, {}, regression);
  });
});

describe('taps and problems', () => {
  const config = (labels: number) => configOf({ layers: 2, width: 4, heads: 2, labels });
  const shapes = (student: number, teacher?: number, regression = false) => ({
    student: config(student),
    teacher: teacher === undefined ? undefined : config(teacher),
    regression,
  });

  it('logits, of a regression none', () => {
    assert.deepEqual(prediction.taps(options, shapes(2, 2)), { logits: true });
    assert.deepEqual(prediction.taps(options, shapes(1, 1, true)), {});
  });

  it('as many labels as the teacher', () => {
    assert.deepEqual(prediction.problems!(options, shapes(2, 2)), []);
    assert.deepEqual(prediction.problems!(options, shapes(1, undefined, true)), []);
    assert.deepEqual(prediction.problems!(options, shapes(2)), []);
    assert.match(prediction.problems!(options, shapes(2, 3))[0]!, /student has 2 labels, the teacher 3/);
  });

  for (const given of [{ temperature: 0 }, { reduction: 'sum' }, { T: 2 }])
    it(`${JSON.stringify(given)} is refused`, () => assert.equal(prediction.options.safeParse(given).success, false));
});

function softmax(logits: readonly number[]): number[] {
  const powers = logits.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/** The cosine term of DistilBERT. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cosine } from '../../../plugins/distill/src/methods/cosine.ts';
import { assertLoss, checkGradients, configOf, measure, randomModel, type Nested, type PlainStep } from './context.ts';

const options = cosine.options.parse({});

describe('the cosine vector', () => {
  const [own, taught] = [
    [
      [1, 2, 3],
      [0.5, -0.5, 0],
    ],
    [
      [1, 1, 1],
      [1, 0, 0],
    ],
  ] as [number[][], number[][]];
  const expected = 0.18353655952045056;
  const far = (states: Nested) => [[[[9, 9, 9]]], states];
  const cases: Record<string, PlainStep> = {
    'two tokens': { student: { hiddenStates: [[own]] }, teacher: { hiddenStates: [[taught]] }, mask: [[1, 1]] },
    'two rows, last hidden states of other depths': {
      student: { hiddenStates: far(own.map((x) => [x])) },
      teacher: { hiddenStates: [...far([[[9, 9, 9]]]), taught.map((x) => [x])] },
      mask: [[1], [1]],
    },
    // One mean over all tokens, not of the rows' means: padding and filler are the opposite of the teacher's.
    'padding and filler': {
      student: {
        hiddenStates: [
          [
            [...own, [1, 0, 0]],
            [own[0]!, [1, 1, 0], [1, 1, 0]],
            [
              [1, 0, 0],
              [1, 0, 0],
              [1, 0, 0],
            ],
          ],
        ],
      },
      teacher: {
        hiddenStates: [
          [
            [...taught, [-1, 0, 0]],
            [taught[0]!, [-1, 1, 0], [-1, 1, 0]],
            [
              [-1, 0, 0],
              [-1, 0, 0],
              [-1, 0, 0],
            ],
          ],
        ],
      },
      mask: [
        [1, 1, 0],
        [1, 0, 0],
        [1, 1, 1],
      ],
      weights: [1, 1, 0],
    },
  };
  // 1 - cos of the first token and of the second.
  const [first, second] = [1 - 6 / Math.sqrt(42), 1 - Math.SQRT1_2];
  for (const [title, step] of Object.entries(cases))
    it(title, () => assertLoss(cosine, {}, step, step.weights ? (2 * first + second) / 3 : expected));
});

describe('cosine', () => {
  const mask = [
    [1, 1, 1],
    [1, 0, 0],
    [1, 1, 0],
  ];
  const size = { layers: 1, width: 4, heads: 1, labels: 2 };
  const step: PlainStep = {
    student: randomModel(size, mask, 1),
    teacher: randomModel({ ...size, layers: 2 }, mask, 2),
    mask,
    weights: [1, 1, 0],
  };

  it('has the gradient of its loss', () => checkGradients(cosine, {}, step));

  it('moves tokens of the last hidden states only', async () => {
    const { gradients } = await measure(cosine, {}, step);
    assert.deepEqual(Object.keys(gradients), ['hidden.1']);
    gradients['hidden.1']!.forEach((value, i) => assert.equal(value !== 0, i < 4 * 4, `element ${i}`));
  });

  it('of a student that is its teacher is exactly 0, also scaled by a power of 2', async () => {
    const scaled = (value: Nested, factor: number): Nested =>
      typeof value === 'number' ? value * factor : value.map((inner) => scaled(inner, factor));
    for (const factor of [1, 4])
      for (const float of ['float64', 'float32'] as const) {
        const hiddenStates = step.student.hiddenStates!.map((states) => scaled(states, factor));
        const { loss } = await measure(cosine, {}, { ...step, teacher: { hiddenStates } }, float);
        assert.equal(loss, 0);
      }
  });

  it('widths must be equal', () => {
    const shapes = (width: number) => ({
      student: configOf({ ...size, width }),
      teacher: configOf(size),
      regression: false,
    });
    assert.deepEqual(cosine.problems!(options, shapes(4)), []);
    assert.match(cosine.problems!(options, shapes(6))[0]!, /width 6 and the teacher 4: give the student hidden=4/);
    assert.deepEqual(cosine.problems!(options, { ...shapes(4), teacher: undefined }), []);
    assert.deepEqual(cosine.taps(options, shapes(4)), { outputs: true });
  });
});

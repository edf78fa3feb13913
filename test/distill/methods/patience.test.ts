/** The patience term of Patient KD and Pea-KD. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { patience } from '../../../plugins/distill/src/methods/patience.ts';
import { gradients } from '../../../src/autodiff/index.ts';
import { GraphBuilder } from '../../../src/ops/index.ts';
import {
  assertLoss,
  checkGradients,
  configOf,
  flat,
  measure,
  randomModel,
  type Nested,
  type PlainStep,
} from './context.ts';

const options = (given: object) => patience.options.parse(given);

/** Hidden states of sequences of one token. */
const tokens = (...states: number[][]): Nested[] => states.map((state) => [[state]]);

describe('the vector of Pea-KD', () => {
  // Two pairs, [1, 1] and [2, 2]: the student's third layer and both embeddings are far away.
  const far = [9, 9, 9, 9];
  const step: PlainStep = {
    student: { hiddenStates: tokens(far, [3, 4, 0, 0], [1, 1, 1, 1], far) },
    teacher: {
      hiddenStates: tokens(
        far.map((x) => -x),
        [4, 3, 0, 0],
        [1, -1, 1, -1],
        far,
      ),
    },
    mask: [[1]],
  };
  const cases: readonly [title: string, given: object, expected: number][] = [
    ['normalized mean', {}, 0.26],
    ['mean', { normalize: false }, 1.25],
    ['normalized sum', { reduction: 'sum' }, 2.08],
    ['sum', { normalize: false, reduction: 'sum' }, 10],
  ];
  for (const [title, given, expected] of cases) it(title, () => assertLoss(patience, given, step, expected));
});

describe('patience', () => {
  // 3 rows, the last one filler; skip pairs student 1, 2 with teacher 2, 4.
  const mask = [
    [1, 1],
    [1, 0],
    [1, 1],
  ];
  const size = { layers: 3, width: 5, heads: 1, labels: 2 };
  const step: PlainStep = {
    student: randomModel(size, mask, 1),
    teacher: randomModel({ ...size, layers: 6 }, mask, 2),
    mask,
    weights: [1, 1, 0],
  };
  const first = (states: readonly Nested[] | undefined, layer: number, row: number) =>
    flat((states![layer] as Nested[][])[row]![0]!);
  const own = (layer: number, row: number) => first(step.student.hiddenStates, layer, row);
  const taught = (layer: number, row: number) => first(step.teacher!.hiddenStates, layer, row);

  it('of normalized states is 2/width times 1 - mean cosine', async () => {
    const pairs = [0, 1].flatMap((row) => [
      cosineOf(own(1, row), taught(2, row)),
      cosineOf(own(2, row), taught(4, row)),
    ]);
    const mean = pairs.reduce((sum, cosine) => sum + cosine) / pairs.length;
    await assertLoss(patience, {}, step, (2 / size.width) * (1 - mean));
  });

  it('of pairs that are given', async () => {
    const squares = [0, 1].map((row) => own(3, row).reduce((sum, x, i) => sum + (x - taught(1, row)[i]!) ** 2, 0));
    const expected = (squares[0]! + squares[1]!) / 2;
    await assertLoss(patience, { map: [[3, 1]], normalize: false, reduction: 'sum' }, step, expected);
  });

  for (const given of [
    {},
    { map: 'last', normalize: false },
    {
      map: [
        [2, 1],
        [2, 6],
        [1, 1],
      ],
      reduction: 'sum',
    },
  ])
    it(`has the gradient of ${JSON.stringify(given)}`, () => checkGradients(patience, given, step));

  it('moves only the first tokens of compared layers, and no filler', async () => {
    const { gradients: found } = await measure(patience, {}, step);
    assert.deepEqual(Object.keys(found), ['hidden.1', 'hidden.2']);
    const isMoved = (i: number) => i < 2 * 2 * 5 && i % 10 < 5;
    found['hidden.1']!.forEach((value, i) => assert.equal(value !== 0, isMoved(i), `element ${i}`));
  });

  it('of a student that is its teacher is exactly 0', async () => {
    const states = step.student.hiddenStates!;
    const same: PlainStep = { ...step, teacher: { hiddenStates: states } };
    for (const normalize of [true, false])
      for (const float of ['float64', 'float32'] as const) {
        const { loss, gradients: found } = await measure(patience, { normalize }, same, float);
        assert.equal(loss, 0);
        assert.ok(
          Object.values(found)
            .flat()
            .every((value) => value === 0),
        );
      }
  });

  it('of states of zeros has finite gradients', async () => {
    const zeros: PlainStep = {
      student: { hiddenStates: tokens([1, 1], [0, 0], [1, 0]) },
      teacher: { hiddenStates: tokens([1, 1], [1, 0], [1, 0]) },
      mask: [[1]],
    };
    const { loss, gradients: found } = await measure(patience, { reduction: 'sum' }, zeros, 'float32');
    assert.equal(loss, 1);
    assert.ok(found['hidden.1']!.every(Number.isFinite));
  });
});

describe('a student of one layer', () => {
  const mask = [[1]];
  const size = { layers: 1, width: 3, heads: 1, labels: 2 };
  const step: PlainStep = {
    student: randomModel(size, mask, 1),
    teacher: randomModel({ ...size, layers: 12 }, mask, 2),
    mask,
  };

  it('learns nothing here, which is no mistake', async () => {
    for (const map of ['skip', 'last']) {
      const { loss, gradients: found } = await measure(patience, { map }, step);
      assert.deepEqual([loss, found], [0, {}]);
    }
    const shapes = { student: configOf(size), teacher: configOf({ ...size, layers: 12 }), regression: false };
    assert.deepEqual(patience.taps(options({}), shapes), { firstTokens: [] });
  });

  it('can learn from other terms', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', []);
    const config = configOf(size);
    const { loss } = patience.loss({ g, student: { config }, teacher: { config } } as never, options({}));
    const [gradient] = gradients(g, g.add(g.mul(x, x), g.scale(loss, 100)), [x]);
    assert.deepEqual(gradient?.shape, []);
  });
});

describe('taps and problems', () => {
  const size = { layers: 3, width: 8, heads: 2, labels: 2 };
  const shapes = (student: object, teacher: object) => ({
    student: configOf({ ...size, ...student }),
    teacher: configOf({ ...size, layers: 12, ...teacher }),
    regression: false,
  });

  it('hidden states count the embeddings as 0: layers 4 and 8 of 12 for three layers', () => {
    assert.deepEqual(patience.taps(options({}), shapes({}, {})), { firstTokens: [4, 8] });
    assert.deepEqual(patience.taps(options({ map: 'last' }), shapes({}, {})), { firstTokens: [10, 11] });
    const twice = options({
      map: [
        [1, 6],
        [2, 6],
      ],
    });
    assert.deepEqual(patience.taps(twice, shapes({}, {})), { firstTokens: [6] });
  });

  it('depth is what runs: three layers twice are six', () => {
    const { student, teacher } = shapes({ layers: 6 }, {});
    const shared = { ...student, layerPlan: [0, 1, 2, 0, 1, 2], swappedDepths: [3, 4, 5] };
    assert.deepEqual(patience.taps(options({}), { student: shared, teacher, regression: false }), {
      firstTokens: [2, 4, 6, 8, 10],
    });
  });

  it('widths must be equal, and layers must have a counterpart', () => {
    assert.deepEqual(patience.problems!(options({}), shapes({}, {})), []);
    const [width, layers, ...others] = patience.problems!(options({}), shapes({ width: 6, layers: 5 }, {}));
    assert.match(width!, /width 6 and the teacher 8: give the student hidden=8/);
    assert.match(layers!, /map=skip pairs no layers/);
    assert.deepEqual(others, []);
  });

  it('taps are asked for before problems: of impossible models there are none', () => {
    const possible = shapes({}, {});
    for (const impossible of [shapes({ layers: 5 }, {}), { ...possible, teacher: undefined }])
      assert.deepEqual(patience.taps(options({}), impossible), { firstTokens: [] });
    assert.deepEqual(patience.problems!(options({}), { ...possible, teacher: undefined }), []);
  });

  for (const given of [{ map: 'uniform' }, { map: [] }, { map: [[0, 4]] }, { map: [[1]] }, { norm: true }])
    it(`${JSON.stringify(given)} is refused`, () => assert.equal(patience.options.safeParse(given).success, false));
});

function cosineOf(a: number[], b: number[]): number {
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

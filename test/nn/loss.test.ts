/** Losses against numbers worked out by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelOf, numbersOf, tensorOf } from '../../src/graph/index.ts';
import {
  crossEntropy,
  softDivergence,
  logitError,
  logSoftmax,
  squaredError,
  weightedMean,
} from '../../src/nn/index.ts';
import { GraphBuilder, type Value } from '../../src/ops/index.ts';
import { runModel } from '../support/run-model.ts';

const F = 'float64';

/** The value of a float64 graph without inputs; `m` and `v` make constants of rows and of numbers. */
async function evaluate(
  build: (g: GraphBuilder, m: (rows: number[][]) => Value, v: (numbers: number[]) => Value) => Value,
): Promise<number[]> {
  const g = new GraphBuilder(F);
  const matrix = (rows: number[][]) => g.constant(tensorOf(F, [rows.length, rows[0]!.length], rows.flat()));
  const vector = (numbers: number[]) => g.constant(tensorOf(F, [numbers.length], numbers));
  g.output('loss', build(g, matrix, vector));
  const { loss } = await (await runModel(modelOf(g.build('loss'))))(new Map());
  return numbersOf(loss!);
}

function assertNear(actual: number[], expected: number[], tolerance = 1e-12): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) <= tolerance, `${value}, not ${expected[i]}`));
}

// A student's and a teacher's logits, from the specification of Pea-KD, section 6.1; then a row that is filler.
const student = [
  [1.2, -0.3],
  [0.4, 0.9],
  [50, -50],
];
const teacher = [
  [2, -1],
  [-0.5, 1.5],
  [-50, 50],
];
const filler = [1, 1, 0];

describe('losses', () => {
  const kd = (reduction: 'batchmean' | 'mean') => ({ temperature: 10, reduction });
  const cases: Readonly<Record<string, readonly [Parameters<typeof evaluate>[0], number[], number?]>> = {
    'weighted mean': [(g, _, v) => weightedMean(g, v([1, 2, 30]), v([1, 1, 0])), [1.5]],
    'weighted mean, weights of any size': [(g, _, v) => weightedMean(g, v([1, 4]), v([3, 1])), [1.75]],
    'log softmax of large logits': [
      (g, m) =>
        logSoftmax(
          g,
          m([
            [1000, 1000],
            [-1000, 0],
          ]),
        ),
      [-Math.LN2, -Math.LN2, -1000, 0],
    ],
    'cross-entropy of equal logits': [(g, m, v) => crossEntropy(g, m([[0, 0, 0]]), g.ints([2]), v([1])), [Math.log(3)]],
    'cross-entropy of the vector': [
      (g, m, v) => crossEntropy(g, m(student), g.ints([0, 1, 1]), v(filler)),
      [0.337745131],
      5e-10,
    ],
    'distillation of the vector, batchmean': [
      (g, m, v) => softDivergence(g, m(student), [m(teacher)], v(filler), kd('batchmean')),
      [0.278202954],
      5e-10,
    ],
    'distillation of the vector, mean': [
      (g, m, v) => softDivergence(g, m(student), [m(teacher)], v(filler), kd('mean')),
      [0.139101477],
      5e-10,
    ],
    'distillation from oneself': [
      (g, m, v) => softDivergence(g, m(student), [m(student)], v([1, 1, 1]), kd('batchmean')),
      [0],
    ],
    // p = (3/4, 1/4) and q = (1/2, 1/2): KL = log 2 - H(p)
    'distillation at temperature 1': [
      (g, m, v) =>
        softDivergence(g, m([[0, 0]]), [m([[Math.log(3), 0]])], v([1]), { temperature: 1, reduction: 'batchmean' }),
      [0.75 * Math.log(1.5) + 0.25 * Math.log(0.5)],
    ],
    'squared error': [
      (g, m, v) => squaredError(g, m([[1], [5], [100]]), v([3, 4, 0]), v(filler)),
      [(2 ** 2 + 1 ** 2) / 2],
    ],
    'logit error': [
      (g, m, v) => logitError(g, m(student), m(teacher), v(filler)),
      [((0.8 ** 2 + 0.7 ** 2) / 2 + (0.9 ** 2 + 0.6 ** 2) / 2) / 2],
    ],
  };
  for (const [title, [build, expected, tolerance]] of Object.entries(cases))
    it(title, async () => assertNear(await evaluate(build), expected, tolerance));
});

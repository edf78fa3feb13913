/** Labels and softened probabilities as the weighted losses of a stage, on a BERT whose logits are chosen. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stageSchema } from '../../plugins/distill/src/recipe/schema.ts';
import { stageObjective } from '../../plugins/distill/src/stage.ts';
import type { TeacherModel } from '../../plugins/distill/src/teacher.ts';
import type { BertConfig } from '../../src/checkpoint/index.ts';
import { elementCount, numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { buildStep } from '../../src/train/index.ts';
import { runModel } from '../support/run-model.ts';
import { configOf } from './methods/context.ts';

type Named = Readonly<Record<string, number>>;
type Rows = readonly [first: number[], second: number[]];

interface Case {
  readonly losses: readonly object[];
  readonly student: Rows;
  /** Logits of each teacher. */
  readonly teachers: readonly Rows[];
  readonly labels: readonly [number, number];
  readonly regression?: boolean;
}

const float64 = (dims: readonly number[], values: readonly number[]) => tensorOf('float64', dims, values);

/**
 * Without layers the LayerNorm makes (1, -1) of token 1 and (-1, 1) of token 2, and a steep pooler leaves these: the first
 * row of the head's matrix has half of what the two examples' logits differ by, its bias what they have in common.
 */
function parametersFor([first, second]: Rows): Readonly<Record<string, readonly number[]>> {
  const half = (sign: number) => first.map((logit, i) => (logit + sign * second[i]!) / 2);
  return {
    'bert.embeddings.word_embeddings.weight': [0, 0, 1, -1, -1, 1],
    'bert.embeddings.LayerNorm.weight': [1, 1],
    'bert.pooler.dense.weight': [40, 0, 0, 40],
    'classifier.weight': [...half(-1), ...first.map(() => 0)],
    'classifier.bias': half(1),
  };
}

/** Loss and metrics of two examples and a row of filler. */
async function evaluate({ losses, student, teachers, labels, regression = false }: Case): Promise<Named> {
  const outputs = student[0].length;
  const config: BertConfig = {
    ...configOf({ layers: 0, width: 2, heads: 1, labels: outputs }),
    vocabSize: 3,
    problemType: regression ? 'regression' : 'single_label_classification',
  };
  const stage = stageSchema.parse({ name: 'distillation', losses });
  const models = teachers.map((_, i) => ({ ref: `teacher ${i}`, config }) as TeacherModel);
  const objective = stageObjective(stage, { student: config, teacher: models[0]?.config, regression }, models);
  const { model } = buildStep(
    objective,
    { rows: 3, length: 3 },
    {
      adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
      clipNorm: Infinity,
      mode: 'update',
      float: 'float64',
    },
  );
  const values = parametersFor(student);
  const zeros = model.graph.inputs.map(({ name, dtype, shape }): [string, Tensor] => {
    const dims = shape as number[];
    return [name, tensorOf(dtype as 'float64', dims, values[name] ?? new Array<number>(elementCount(dims)).fill(0))];
  });
  const feeds = new Map<string, Tensor>([
    ...zeros,
    ['input_ids', tensorOf('int64', [3, 3], [1, 0, 0, 2, 0, 0, 2, 0, 0])],
    ['weights', float64([3], [1, 1, 0])],
    ['labels', tensorOf(regression ? 'float64' : 'int64', [3], [...labels, 0])],
    ...teachers.map((rows, i): [string, Tensor] => [
      `teacher/${i}/logits`,
      float64([3, outputs], [...rows.flat(), ...rows[0].map((_, c) => 9 * c)]),
    ]),
  ]);
  const metrics = model.graph.outputs.map(({ name }) => name).filter((name) => /loss$/.test(name));
  const results = await (await runModel(model))(feeds);
  return Object.fromEntries(metrics.map((name) => [name, numbersOf(results[name]!)[0]!]));
}

function assertClose(actual: Named, expected: Named): void {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [name, value] of Object.entries(expected))
    assert.ok(Math.abs(actual[name]! - value) < 1e-9, `${name} ${actual[name]}, not ${value}`);
}

describe('label and kd', () => {
  // The vector of the specification of Pea-KD, section 6.1.
  const given = {
    student: [
      [1.2, -0.3],
      [0.4, 0.9],
    ],
    teachers: [
      [
        [2, -1],
        [-0.5, 1.5],
      ],
    ],
    labels: [0, 1],
  } as const satisfies Omit<Case, 'losses'>;
  const label_loss = 0.337745131;
  const kd = { method: 'kd', temperature: 10 };
  const cases: Readonly<Record<string, readonly [losses: readonly object[], expected: Named]>> = {
    'the divergence averaged over examples': [
      [
        { method: 'label', weight: 0.3 },
        { ...kd, weight: 0.7 },
      ],
      { label_loss, kd_loss: 0.278202954, loss: 0.296065607 },
    ],
    'and over classes': [
      [
        { method: 'label', weight: 0.3 },
        { ...kd, weight: 0.7, reduction: 'mean' },
      ],
      { label_loss, kd_loss: 0.139101477, loss: 0.198694573 },
    ],
    'labels alone': [[{ method: 'label' }, { ...kd, weight: 0 }], { label_loss, loss: label_loss }],
    'the teacher alone': [[{ method: 'label', weight: 0 }, kd], { kd_loss: 0.278202954, loss: 0.278202954 }],
  };
  for (const [title, [losses, expected]] of Object.entries(cases))
    it(title, async () => assertClose(await evaluate({ ...given, losses }), expected));

  it('squared errors for a regression', async () => {
    const losses = [
      { method: 'label', weight: 0.75 },
      { method: 'kd', weight: 0.25 },
    ];
    const actual = await evaluate({
      losses,
      student: [[1], [2]],
      teachers: [[[2], [4]]],
      labels: [1, 5],
      regression: true,
    });
    assertClose(actual, { label_loss: 4.5, kd_loss: 2.5, loss: 0.75 * 4.5 + 0.25 * 2.5 });
  });
});

describe('two teachers', () => {
  const log3 = Math.log(3);

  it('teach the mean of their softened probabilities', async () => {
    const actual = await evaluate({
      losses: [{ method: 'kd', temperature: 2 }],
      student: [
        [0, 0],
        [0, 2 * log3],
      ],
      // At T = 2: (1/4, 3/4) and (1/2, 1/2) for the first example, (3/4, 1/4) and (1/4, 3/4) for the second.
      teachers: [
        [
          [0, 2 * log3],
          [2 * log3, 0],
        ],
        [
          [0, 0],
          [0, 2 * log3],
        ],
      ],
      labels: [0, 0],
    });
    // (3/8, 5/8) against (1/2, 1/2), and (1/2, 1/2) against (1/4, 3/4).
    const first = 0.375 * Math.log(0.75) + 0.625 * Math.log(1.25);
    const second = 0.5 * Math.log(2) + 0.5 * Math.log(2 / 3);
    assert.ok(Math.abs(first - 0.031583942) < 1e-9 && Math.abs(second - 0.143841036) < 1e-9);
    const kd_loss = (4 * (first + second)) / 2;
    assertClose(actual, { kd_loss, loss: kd_loss });
  });

  it('teach the mean of their outputs in a regression', async () => {
    const actual = await evaluate({
      losses: [{ method: 'kd' }],
      student: [[1], [2]],
      teachers: [
        [[2], [4]],
        [[4], [0]],
      ],
      labels: [0, 0],
      regression: true,
    });
    assertClose(actual, { kd_loss: 2, loss: 2 });
  });
});

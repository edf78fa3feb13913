/** The masked language model. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mlm } from '../../../plugins/distill/src/methods/mlm.ts';
import { randomStream } from '../../../src/data/index.ts';
import { tensorOf } from '../../../src/graph/index.ts';
import { configOf } from './context.ts';
import {
  assertClose,
  bertModel,
  checkGradients,
  fixedModel,
  MASK,
  measure,
  prepare,
  tokenModel,
  type ModelMaker,
  type Scene,
} from './masked-context.ts';

const rows = [
  [2, 5, 6, 7, 3],
  [2, 8, 3],
];
const scene = (changes: Partial<Scene> = {}): Scene => ({
  rows,
  length: 6,
  drawn: [
    [0, 2],
    [0, 3],
    [1, 1],
  ],
  student: tokenModel(4, 3),
  ...changes,
});

/** Twice as many as are drawn. */
const given = { masking: { probability: 0.5 } };

it('is the mean cross-entropy of the drawn tokens, without filler', async () => {
  // Capacity 3 per row of 6; logits of the six entries, targets 6, 7, 8 of the first three.
  const logits = Array.from({ length: 6 }, (_, i) => Array.from({ length: 11 }, (_, j) => Math.sin(3 * i + j)));
  const student = fixedModel(
    tensorOf('float64', [2, 6, 2], new Array(24).fill(1)),
    tensorOf('float64', [6, 11], logits.flat()),
  );
  const expected = [6, 7, 8].map((target, i) => {
    const total = logits[i]!.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return Math.log(total) - logits[i]![target]!;
  });
  const { loss, gradients } = await measure(mlm, given, scene({ student }));
  assert.ok(Math.abs(loss - expected.reduce((a, b) => a + b) / 3) < 1e-12, `${loss}`);
  const rowsWithGradient = gradients['student/logits']!.flatMap((value, i) =>
    value === 0 ? [] : [Math.floor(i / 11)],
  );
  assert.deepEqual(new Set(rowsWithGradient), new Set([0, 1, 2]));
});

it('reads the hidden states at the drawn positions of the masked input', async () => {
  // The logit of a token is its distance along the table: the prediction is a function of the hidden state alone.
  const seen: number[][] = [];
  const student: ModelMaker = (g, variable) => {
    const model = tokenModel(4, 3)(g, variable);
    return {
      ...model,
      vocabulary(hidden) {
        seen.push([...(hidden.shape as number[])]);
        return model.vocabulary(hidden);
      },
    };
  };
  const first = await measure(mlm, given, scene({ student }));
  assert.deepEqual(seen, [[6, 4]]);
  // All drawn tokens look alike to a model without attention, so what else is in the rows does not matter...
  const others = rows.map((row, i) => row.map((id, j) => (i === 0 && j === 1 ? 9 : id)));
  assert.equal((await measure(mlm, given, scene({ student, rows: others }))).loss, first.loss);
  // ...but the targets do.
  const targets = rows.map((row, i) => row.map((id, j) => (i === 0 && j === 2 ? 9 : id)));
  assert.notEqual((await measure(mlm, given, scene({ student, rows: targets }))).loss, first.loss);
  // Only the row of [MASK] (and what decodes) is read from the table: with an untied decoder nothing else has a gradient.
  const untied: ModelMaker = (g, variable) => ({
    ...tokenModel(4, 3)(g, variable),
    vocabulary: (hidden) =>
      g.op('MatMul', [hidden, variable('decoder', tensorOf('float64', [4, 11], [...Array(44).keys()].map(Math.sin)))]),
  });
  const { gradients } = await measure(mlm, given, scene({ student: untied }));
  const touched = gradients['student/table']!.flatMap((value, i) => (value === 0 ? [] : [Math.floor(i / 4)]));
  assert.deepEqual(new Set(touched), new Set([MASK]));
});

it('has the gradient of central differences', () => checkGradients(mlm, given, scene()));

it('is 0 with a gradient of 0 where nothing could be drawn', async () => {
  const { loss, gradients } = await measure(mlm, given, scene({ drawn: [] }));
  assert.equal(loss, 0);
  assert.ok(Object.values(gradients).every((values) => values.every((value) => value === 0)));
});

it('does not depend on padding', async () => {
  const student = bertModel(2, 1);
  const padded = await measure(mlm, given, scene({ student, length: 8 }));
  // LayerNormalization keeps its statistics in float32.
  assertClose(await measure(mlm, given, scene({ student, length: 5 })), padded, 1e-6);
  assert.ok(padded.loss > 0.1);
});

describe('what a batch is fed', () => {
  const options = mlm.options.parse({});
  const [ids, mask] = [
    [2, 5, 6, 7, 3, 0, 2, 8, 3, 0, 0, 0],
    [1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0],
  ];
  const shapes = {
    student: configOf({ layers: 1, width: 8, heads: 2, labels: 2 }),
    teacher: undefined,
    regression: false,
  };
  const batch = {
    bucket: { rows: 2, length: 6 },
    examples: 2,
    inputIds: tensorOf('int64', [2, 6], ids),
    attentionMask: tensorOf('int64', [2, 6], mask),
    vocabulary: { size: 11, maskId: MASK, specialIds: [0, 1, 2, 3] },
    random: (name: string) => randomStream(1, name),
  };

  it('is what the graph reads', async () => {
    const feeds = mlm.draws!(options, batch, shapes);
    const { inputs } = await prepare(mlm, {}, scene({ drawn: [[0, 2]] }));
    const declared = inputs.filter(({ name }) => name.startsWith('masked_'));
    assert.deepEqual(
      declared.map(({ name, shape }) => [name, shape]).sort(),
      Object.entries(feeds)
        .map(([name, { dims }]) => [name, dims])
        .sort(),
    );
    for (const { name, dtype } of declared)
      assert.equal(feeds[name]!.dtype, name === 'masked_weights' ? 'float32' : dtype);
  });

  it('comes from no teacher, and is something', () => {
    assert.deepEqual(mlm.taps(options, shapes), {});
    assert.deepEqual(mlm.problems!(options, shapes), []);
    const nothing = mlm.options.parse({ masking: { probability: 0 } });
    assert.match(mlm.problems!(nothing, shapes)[0]!, /^masking\.probability: expected more than 0/);
  });
});

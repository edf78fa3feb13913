/** Transformer distillation of TinyBERT: its check vectors, padding, projections, what is compared with what. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { transformer } from '../../../plugins/distill/src/methods/tinybert.ts';
import {
  assertLoss,
  assertNear,
  checkGradients,
  configOf,
  measure,
  nested,
  randomModel,
  type Nested,
  type PlainModel,
  type PlainStep,
  type Size,
} from './context.ts';

const only = (term: 'embedding' | 'hidden' | 'attention') => ({ embedding: 0, hidden: 0, attention: 0, [term]: 1 });
const options = (given: object) => transformer.options.parse(given);

/** A counter for nested(). */
function counted(make: (k: number) => number): () => number {
  let k = 0;
  return () => make(k++);
}

describe('the attention vector', () => {
  const scores = (make: (k: number) => number) => ({ attentionScores: [nested([1, 2, 3, 3], counted(make))] });
  const student = scores((k) => 3 * Math.sin(k + 1));
  const teacher = scores((k) => 3 * Math.cos(k / 2));
  const step: PlainStep = { student, teacher, mask: [[1, 1, 0]] };
  const given = only('attention');

  it('as published: padded queries and all positions count', () =>
    assertLoss(transformer, given, step, 5.272900226973757));

  it('over pairs of tokens', () => assertLoss(transformer, { ...given, padding: 'masked' }, step, 3.438190364717489));

  it('has scores of masked keys, however large, as 0 on both sides', async () => {
    const wild = (model: PlainModel, value: number): PlainModel => ({
      attentionScores: model.attentionScores!.map((heads) =>
        (heads as number[][][][]).map((rows) => rows.map((queries) => queries.map(([a, b]) => [a!, b!, value]))),
      ),
    });
    for (const padding of ['published', 'masked'])
      for (const [own, taught] of [
        [1e4, -1e4],
        [-Infinity, -Infinity],
        [-Infinity, 1],
        [NaN, 1],
      ] as const) {
        const changed = { ...step, student: wild(student, own), teacher: wild(teacher, taught) };
        const { loss, gradients } = await measure(transformer, { ...given, padding }, changed);
        assertNear(loss, padding === 'published' ? 5.272900226973757 : 3.438190364717489, 1e-12);
        gradients['scores.0']!.forEach((value, i) =>
          assert.equal(value === 0, i % 3 === 2 || (padding === 'masked' && i % 9 > 5), `element ${i}: ${value}`),
        );
      }
  });
});

describe('the hidden vector', () => {
  const states = [
    [0.5, -1],
    [2, 0.25],
  ];
  const targets = [
    [0, 1, -1],
    [0.5, 0.5, 0.5],
  ];
  const parameters = {
    'fit_dense.weight': [
      [1, 0, -0.5],
      [0.2, 0.4, 1],
    ],
    'fit_dense.bias': [0.1, -0.1, 0],
  };
  // Two sequences of one token, and one of two.
  const batches: Record<string, [Nested, Nested, number[][]]> = {
    rows: [states.map((x) => [x]), targets.map((x) => [x]), [[1], [1]]],
    positions: [[states], [targets], [[1, 1]]],
  };
  for (const [title, [own, taught, mask]] of Object.entries(batches))
    for (const padding of ['published', 'masked']) {
      it(`is a mean over ${title}, ${padding}`, async () => {
        const step: PlainStep = {
          student: { hiddenStates: [nested([mask.length, mask[0]!.length, 2], () => 9), own] },
          teacher: { hiddenStates: [nested([mask.length, mask[0]!.length, 3], () => 9), taught] },
          mask,
          parameters,
        };
        await assertLoss(transformer, { ...only('hidden'), padding }, step, 1.1679166666666667);
      });
    }

  it('is the mean of the second token alone where the first is padding, or of both', async () => {
    const [own, taught, mask] = batches['positions']!;
    const step: PlainStep = {
      student: { hiddenStates: [own] },
      teacher: { hiddenStates: [taught] },
      mask: mask.map(() => [0, 1]),
      parameters,
    };
    // Z = [2.15, 0, -0.75]
    const second = (1.65 ** 2 + 0.5 ** 2 + 1.25 ** 2) / 3;
    await assertLoss(transformer, { ...only('embedding'), padding: 'masked' }, step, second);
    await assertLoss(transformer, only('embedding'), step, 1.1679166666666667);
  });
});

// Rows of 3, 2 and 1 tokens, then filler; M = 2, N = 4.
const mask = [
  [1, 1, 1],
  [1, 1, 0],
  [1, 0, 0],
  [1, 1, 1],
];
const small: Size = { layers: 2, width: 2, heads: 2, labels: 2 };
const large: Size = { layers: 4, width: 3, heads: 2, labels: 2 };

function projections(names: readonly string[], inputs: number, outputs: number): Record<string, Nested> {
  const wave = counted((k) => Math.sin(k + 1));
  return Object.fromEntries(
    names.flatMap((name) => [
      [`${name}.weight`, nested([inputs, outputs], wave)],
      [`${name}.bias`, nested([outputs], wave)],
    ]),
  );
}

const perLayer = ['fit_denses.0', 'fit_denses.1', 'fit_denses.2'];

function stepWith(names: readonly string[], changes: Partial<PlainStep> = {}): PlainStep {
  return {
    student: randomModel(small, mask, 1),
    teacher: randomModel(large, mask, 2),
    mask,
    weights: [1, 1, 1, 0],
    parameters: projections(names, small.width, large.width),
    ...changes,
  };
}

/** A student of the teacher's width. */
const wideStep = (parameters: Record<string, Nested> = {}): PlainStep =>
  stepWith([], { student: randomModel({ ...small, width: large.width }, mask, 1), parameters });

describe('without a projection', () => {
  const identity = {
    'fit_dense.weight': [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
    'fit_dense.bias': [0, 0, 0],
  };
  for (const padding of ['published', 'masked'])
    it(`the states themselves are compared, ${padding}`, async () => {
      const none = await measure(transformer, { projection: 'none', padding }, wideStep());
      const projected = await measure(transformer, { padding }, wideStep(identity));
      assertNear(none.loss, projected.loss, 1e-12);
      for (const [name, values] of Object.entries(none.gradients))
        values.forEach((value, i) => assertNear(value, projected.gradients[name]![i]!, 1e-12, `${name}[${i}]`));
    });

  it('a student that is its teacher has nothing to learn', async () => {
    const teacher = randomModel(small, mask, 2);
    const step = stepWith([], { teacher, student: teacher, parameters: {} });
    const { loss, gradients } = await measure(transformer, { projection: 'none' }, step);
    assert.equal(loss, 0);
    assert.ok(Object.values(gradients).every((values) => values.every((value) => value === 0)));
  });

  it('gradients', () => checkGradients(transformer, { projection: 'none' }, wideStep()));
});

describe('gradients', () => {
  const cases: readonly [given: object, names: readonly string[]][] = [
    [{}, ['fit_dense']],
    [{ padding: 'masked' }, ['fit_dense']],
    [{ projection: 'per-layer', embedding: 0.5, hidden: 2, attention: 3 }, perLayer],
    [{ projection: 'per-layer', padding: 'masked', map: 'top', embedding: 0 }, perLayer.slice(1)],
    [{ map: [4, 1], hidden: 0 }, ['fit_dense']],
    [{ map: 'bottom', hidden: 0, embedding: 0, padding: 'masked' }, []],
  ];
  for (const [given, names] of cases)
    it(`of ${JSON.stringify(given)}`, () => checkGradients(transformer, given, stepWith(names)));
});

describe('what is compared', () => {
  it('terms are sums over layers, the loss their weighted sum', async () => {
    const weights = { embedding: 0.5, hidden: 2, attention: 3 };
    const { loss, metrics } = await measure(transformer, weights, stepWith(['fit_dense']));
    const plain = await measure(transformer, {}, stepWith(['fit_dense']));
    assert.deepEqual(Object.keys(metrics), ['embedding_loss', 'hidden_loss', 'attention_loss']);
    assert.deepEqual(metrics, plain.metrics);
    const { embedding_loss, hidden_loss, attention_loss } = metrics;
    assertNear(loss, 0.5 * embedding_loss! + 2 * hidden_loss! + 3 * attention_loss!, 1e-12);
    const each = async (layers: number[]) => {
      const { student, teacher } = stepWith([]);
      const pick = ({ hiddenStates, attentionScores }: PlainModel, layer: number): PlainModel => ({
        hiddenStates: [hiddenStates![0]!, hiddenStates![layer]!],
        attentionScores: [attentionScores![layer - 1]!],
      });
      const [own, taught] = layers as [number, number];
      const changed = { student: pick(student, own), teacher: pick(teacher!, taught) };
      return (await measure(transformer, {}, stepWith(['fit_dense'], changed))).metrics;
    };
    // Uniform: the last layer of the student meets the last of the teacher.
    const [first, second] = [await each([1, 2]), await each([2, 4])];
    assertNear(hidden_loss!, first['hidden_loss']! + second['hidden_loss']!, 1e-12);
    assertNear(attention_loss!, first['attention_loss']! + second['attention_loss']!, 1e-12);
    assertNear(embedding_loss!, first['embedding_loss']!, 1e-12);
  });

  for (const [map, layers] of [
    ['uniform', [2, 4]],
    ['top', [3, 4]],
    ['bottom', [1, 2]],
    [
      [4, 1],
      [4, 1],
    ],
  ] as const)
    it(`map ${JSON.stringify(map)}: a student that is these layers of its teacher has loss 0`, async () => {
      const teacher = randomModel({ ...large, width: 2 }, mask, 3);
      const student: PlainModel = {
        hiddenStates: [0, ...layers].map((n) => teacher.hiddenStates![n]!),
        attentionScores: layers.map((n) => teacher.attentionScores![n - 1]!),
      };
      const identity = {
        'fit_dense.weight': [
          [1, 0],
          [0, 1],
        ],
        'fit_dense.bias': [0, 0],
      };
      for (const padding of ['published', 'masked'])
        for (const float of ['float64', 'float32'] as const) {
          const step = { ...stepWith([]), student, teacher, parameters: identity };
          const { loss, gradients } = await measure(transformer, { map, padding }, step, float);
          assert.equal(loss, 0);
          assert.ok(
            Object.values(gradients)
              .flat()
              .every((value) => value === 0),
          );
        }
    });

  it('filler rows count nothing', async () => {
    for (const padding of ['published', 'masked']) {
      const step = stepWith(['fit_dense']);
      const { loss, gradients } = await measure(transformer, { padding }, step);
      const cut = <T>(rows: T) => (rows as unknown[]).slice(0, 3) as T;
      const without = ({ hiddenStates, attentionScores }: PlainModel): PlainModel => ({
        hiddenStates: hiddenStates!.map(cut),
        attentionScores: attentionScores!.map(cut),
      });
      const full = {
        student: without(step.student),
        teacher: without(step.teacher!),
        mask: cut(mask),
        weights: [1, 1, 1],
      };
      const expected = await measure(transformer, { padding }, { ...step, ...full });
      assertNear(loss, expected.loss, 1e-12);
      assert.ok(gradients['hidden.1']!.slice(3 * 3 * 2).every((value) => value === 0));
      assert.ok(gradients['scores.1']!.slice(3 * 2 * 9).every((value) => value === 0));
    }
  });

  it('nothing but padding is left out by "masked"', async () => {
    const full = { mask: mask.map((row) => row.map(() => 1)) };
    const published = await measure(transformer, {}, stepWith(['fit_dense'], full));
    const masked = await measure(transformer, { padding: 'masked' }, stepWith(['fit_dense'], full));
    assertNear(masked.loss, published.loss, 1e-12);
  });

  it('padded positions have no gradient when masked, and one as published', async () => {
    for (const [padding, counts] of [
      ['published', true],
      ['masked', false],
    ] as const) {
      const { gradients } = await measure(transformer, { padding }, stepWith(['fit_dense']));
      // Row 1, position 2 of the hidden states; row 1, head 0, query 2, key 0 of the scores.
      assert.equal(gradients['hidden.1']![1 * 6 + 2 * 2] !== 0, counts);
      assert.equal(gradients['scores.0']![1 * 18 + 2 * 3] !== 0, counts);
    }
  });
});

describe('parameters and problems', () => {
  const shapes = (student: Partial<Size>, teacher: Partial<Size> = {}) => ({
    student: configOf({ ...small, ...student }),
    teacher: configOf({ ...large, ...teacher }),
    regression: false,
  });
  const named = (given: object) => transformer.parameters!(options(given), shapes({})).map(({ name }) => name);
  const both = (names: string[]) => names.flatMap((name) => [`${name}.weight`, `${name}.bias`]);

  it('are one projection, one per hidden state, or none', () => {
    assert.deepEqual(transformer.parameters!(options({}), shapes({})), [
      { name: 'fit_dense.weight', shape: [2, 3], kind: 'linear' },
      { name: 'fit_dense.bias', shape: [3], kind: 'bias' },
    ]);
    assert.deepEqual(named({ hidden: 0 }), both(['fit_dense']));
    assert.deepEqual(named({ projection: 'per-layer' }), both(perLayer));
    assert.deepEqual(named({ projection: 'per-layer', embedding: 0 }), both(perLayer.slice(1)));
    assert.deepEqual(named({ projection: 'per-layer', hidden: 0 }), both(['fit_denses.0']));
    assert.deepEqual(named({ projection: 'none' }), []);
    for (const projection of ['shared', 'per-layer', 'none'])
      assert.deepEqual(named({ projection, embedding: 0, hidden: 0 }), []);
  });

  it('a projection is there for equal widths too', () => {
    const equal = transformer.parameters!(options({}), shapes({ width: 3 }));
    assert.deepEqual(equal[0], { name: 'fit_dense.weight', shape: [3, 3], kind: 'linear' });
  });

  it('every inner value is read', () => assert.deepEqual(transformer.taps(options({}), shapes({})), { outputs: true }));

  const cases: readonly [title: string, given: object, RegExp[], Partial<Size>?, Partial<Size>?][] = [
    ['nothing', {}, []],
    ['heads', {}, [/has 1 heads and the teacher 2: give the student heads=2, or set attention=0$/], { heads: 1 }],
    ['heads, but no attention', { attention: 0 }, [], { heads: 1 }],
    ['depths', {}, [/^map=uniform needs a multiple/], { layers: 3 }],
    ['depths, but embeddings only', { hidden: 0, attention: 0 }, [], { layers: 3 }],
    ['depths that are mapped', { map: [1, 3, 4] }, [], { layers: 3 }],
    ['a teacher without layers', {}, [/no layers to compare/], {}, { layers: 0 }],
    ['no term', { embedding: 0, hidden: 0, attention: 0 }, [/^embedding, hidden and attention are all 0/]],
    ['widths without a projection', { projection: 'none' }, [/needs a student of the teacher's width 3, not 2: /]],
    ['widths without a projection, but attention only', { projection: 'none', embedding: 0, hidden: 0 }, []],
    ['equal widths without a projection', { projection: 'none' }, [], { width: 3 }],
    ['heads and depths', { map: 'top' }, [/^map=top/, /heads/], { layers: 5, heads: 1 }],
  ];
  for (const [title, given, expected, student = {}, teacher = {}] of cases)
    it(`problem: ${title}`, () => {
      const problems = transformer.problems!(options(given), shapes(student, teacher));
      assert.equal(problems.length, expected.length, problems.join('\n'));
      problems.forEach((problem, i) => assert.match(problem, expected[i]!));
    });

  it('without a teacher nothing is known', () => {
    const alone = { ...shapes({}), teacher: undefined };
    assert.deepEqual(transformer.problems!(options({}), alone), []);
    assert.deepEqual(transformer.parameters!(options({}), alone), []);
  });

  for (const given of [{ attention: -1 }, { map: 'skip' }, { map: [] }, { map: [0, 2] }, { fitSize: 768 }])
    it(`${JSON.stringify(given)} is refused`, () => assert.equal(transformer.options.safeParse(given).success, false));
});

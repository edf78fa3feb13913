/** The triple loss of DistilBERT. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { distilbert } from '../../../plugins/distill/src/methods/distilbert.ts';
import { modelOf, numbersOf, tensorOf } from '../../../src/graph/index.ts';
import type { BertInputs } from '../../../src/nn/index.ts';
import { runModel } from '../../support/run-model.ts';
import { configOf } from './context.ts';
import {
  assertClose,
  bertModel,
  build,
  checkGradients,
  fixedModel,
  measure,
  recordingInputs,
  tokenModel,
  without,
  type Scene,
} from './masked-context.ts';

const scene = (changes: Partial<Scene> = {}): Scene => ({
  rows: [
    [2, 5, 6, 7, 3],
    [2, 8, 3],
  ],
  length: 6,
  drawn: [
    [0, 2],
    [1, 1],
  ],
  student: tokenModel(4, 3),
  teacher: tokenModel(4, 30),
  ...changes,
});

const near = (actual: number | undefined, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(actual! - expected) <= tolerance, `${actual}, not ${expected}`);

describe('the vectors of section 1.9', () => {
  const model = (hidden: number[], logits: number[], length: number) =>
    fixedModel(tensorOf('float64', [2 / length, length, 3], hidden), tensorOf('float64', [2, 3], logits));
  const student = (length: number) => model([1, 2, 3, 0.5, -0.5, 0], [1, 2, 0.5, 0, -1, 1], length);
  const teacher = (length: number) => model([1, 1, 1, 1, 0, 0], [2, 1, 0, -1, 0, 3], length);
  const [ce, cos] = [0.49396378104269634, 0.18353655952045056];
  const log = (logits: number[], target: number) =>
    Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[target]!;

  it('over tokens of a sequence, or of several', async () => {
    for (const length of [1, 2]) {
      const rows = length === 1 ? [[1], [1]] : [[1, 1]];
      const given = scene({ rows, length, drawn: [], student: student(length), teacher: teacher(length) });
      const { metrics, loss } = await measure(distilbert, { alphaMlm: 0 }, given);
      assert.deepEqual(Object.keys(metrics), ['ce_loss', 'cos_loss']);
      near(metrics['ce_loss'], ce);
      near(metrics['cos_loss'], cos);
      near(loss, 5 * ce + cos);
    }
  });

  it('over the drawn tokens, with all three terms', async () => {
    // One token may be drawn in each row: the logits are those of drawn tokens, with targets 2 and 0.
    const given = scene({
      rows: [[2], [0]],
      length: 1,
      drawn: [
        [0, 0],
        [1, 0],
      ],
      student: student(1),
      teacher: teacher(1),
    });
    const mlm = (log([1, 2, 0.5], 2) + log([0, -1, 1], 0)) / 2;
    const { metrics, loss } = await measure(distilbert, { tokens: 'masked' }, given);
    near(metrics['ce_loss'], ce);
    near(metrics['mlm_loss'], mlm);
    near(loss, 5 * ce + 2 * mlm + cos);
  });
});

describe('gradients are those of central differences', () => {
  for (const options of [{}, { tokens: 'masked' }, { alphaCe: 0 }, { alphaCos: 0, alphaMlm: 0, temperature: 4 }])
    it(JSON.stringify(options), () =>
      checkGradients(
        distilbert,
        { masking: { probability: 0.5 }, ...options },
        scene({ rows: [...scene().rows, [2, 9, 9, 3]], weights: [1, 1, 0] }),
      ),
    );
});

describe('BERT', () => {
  const [student, teacher] = [bertModel(1, 1), bertModel(2, 100)];

  for (const tokens of ['all', 'masked'])
    it(`that is its own teacher has nothing to learn from it, tokens ${tokens}`, async () => {
      const { metrics, loss, gradients } = await measure(
        distilbert,
        { tokens, alphaMlm: 0 },
        scene({ student, teacher: student }),
      );
      near(metrics['ce_loss'], 0);
      near(metrics['cos_loss'], 0);
      near(loss, 0);
      for (const values of Object.values(gradients)) values.forEach((value) => near(value, 0, 1e-6));
    });

  // LayerNormalization keeps its statistics in float32.
  it('does not see padding', async () => {
    const short = await measure(distilbert, {}, scene({ student, teacher, length: 5 }));
    assertClose(await measure(distilbert, {}, scene({ student, teacher, length: 8 })), short, 1e-6);
    assert.ok(Object.values(short.metrics).every((value) => value > 0.01));
  });

  it('does not learn from filler rows', async () => {
    const alone = await measure(distilbert, {}, scene({ student, teacher }));
    const rows = [...scene().rows, [2, 9, 9, 9, 9, 3]];
    const filled = (weights: number[]) => measure(distilbert, {}, scene({ student, teacher, rows, weights }));
    assertClose(await filled([1, 1, 0]), alone, 1e-6);
    assert.ok(Math.abs((await filled([1, 1, 1])).loss - alone.loss) > 1e-3);
  });

  it('as the teacher is constant: nothing inside it takes part in the backward pass', () => {
    const { g, forward, found } = build(distilbert, {}, scene({ student, teacher }));
    assert.ok(found.some((gradient) => gradient));
    const reads = (calls: typeof g.calls) =>
      new Set(calls.flatMap(({ inputs }) => inputs.flatMap((input) => (input ? [input.name] : []))));
    const isTeacher = (name: string) => name.startsWith('teacher/');
    const outside = g.calls.slice(0, forward).filter(({ outputs }) => !isTeacher(outputs[0]!.name));
    const given = reads(outside);
    const backward = [...reads(g.calls.slice(forward))].filter(isTeacher);
    assert.deepEqual(
      backward.filter((name) => !given.has(name)),
      [],
    );
  });
});

describe('both models', () => {
  it('see the same masked ids and no token types', async () => {
    const seen = { student: [] as BertInputs[], teacher: [] as BertInputs[] };
    const { g, feeds } = build(
      distilbert,
      {},
      scene({
        student: recordingInputs(tokenModel(4, 3), seen.student),
        teacher: recordingInputs(tokenModel(4, 30), seen.teacher),
      }),
    );
    const [ours, theirs] = [...seen.student, ...seen.teacher];
    assert.equal(seen.student.length + seen.teacher.length, 2);
    assert.deepEqual(ours, theirs);
    assert.equal(ours!.inputIds.name, 'masked_ids');
    assert.equal(ours!.attentionMask.name, 'attention_mask');
    g.output('types', ours!.tokenTypeIds);
    const { types } = await (await runModel(modelOf(g.build('types'))))(feeds);
    assert.deepEqual(types!.dims, [2, 6]);
    assert.deepEqual(numbersOf(types!), new Array(12).fill(0));
  });

  const passes: readonly [title: string, options: object, scene: Partial<Scene>][] = [
    ['no teacher for masked tokens alone', { alphaCe: 0, alphaCos: 0 }, { teacher: undefined }],
    ["no head of the teacher's without L_ce", { alphaCe: 0 }, { teacher: without('vocabulary', tokenModel(4, 30)) }],
    [
      'no head at all for L_cos alone',
      { alphaCe: 0, alphaMlm: 0 },
      {
        student: without('vocabulary', tokenModel(4, 3)),
        teacher: without('vocabulary', tokenModel(4, 30)),
      },
    ],
  ];
  for (const [title, options, changes] of passes)
    it(`are asked for what is needed only: ${title}`, async () => {
      const { loss } = await measure(distilbert, options, scene(changes));
      assert.ok(loss > 0.01);
    });

  it('give 0, not NaN, where nothing could be drawn', async () => {
    const { metrics, gradients } = await measure(distilbert, { tokens: 'masked' }, scene({ drawn: [] }));
    assert.deepEqual([metrics['ce_loss'], metrics['mlm_loss']], [0, 0]);
    assert.ok(Object.values(gradients).every((values) => values.every(Number.isFinite)));
  });
});

describe('beforehand', () => {
  const config = (width: number, vocabSize = 11) => ({
    ...configOf({ layers: 1, width, heads: 2, labels: 2 }),
    vocabSize,
  });
  const shapes = (teacher: ReturnType<typeof config> | undefined) => ({
    student: config(8),
    teacher,
    regression: false,
  });

  it('the options have the weights of the authors', () => {
    const { masking, ...others } = distilbert.options.parse({});
    assert.deepEqual(others, { alphaCe: 5, alphaMlm: 2, alphaCos: 1, temperature: 2, tokens: 'all' });
    assert.equal(masking.probability, 0.15);
  });

  const taps: readonly [object, object][] = [
    [{}, { drawn: true, vocabulary: true }],
    [{ alphaCe: 0 }, { drawn: true, vocabulary: false }],
    [{ alphaCe: 0, alphaCos: 0 }, {}],
  ];
  for (const [options, expected] of taps)
    it(`it taps with ${JSON.stringify(options)}`, () =>
      assert.deepEqual(distilbert.taps(distilbert.options.parse(options), shapes(config(8))), expected));

  const none = { masking: { probability: 0 } };
  const problems: readonly [object, ReturnType<typeof config> | undefined, RegExp[]][] = [
    [{}, config(8), []],
    [{}, config(12), [/^L_cos needs equal widths, the teacher has 12 and the student 8: set alphaCos to 0/]],
    [{ alphaCos: 0 }, config(12), []],
    [{}, config(8, 12), [/the teacher has 12 tokens and the student 11/]],
    [{}, undefined, [/^needs a teacher/]],
    [{ alphaCe: 0, alphaCos: 0 }, undefined, []],
    [{ alphaCe: 0, alphaCos: 0, alphaMlm: 0 }, undefined, [/are all 0/]],
    [none, config(8), [/^masking\.probability: expected more than 0/]],
    [{ ...none, alphaMlm: 0, tokens: 'masked' }, config(8), [/^masking\.probability/]],
    [{ ...none, alphaMlm: 0 }, config(8), []],
    [{ ...none, alphaMlm: 0, alphaCe: 0, tokens: 'masked' }, config(8), []],
  ];
  for (const [options, teacher, expected] of problems)
    it(`problems of ${JSON.stringify(options)}, teacher ${teacher?.hiddenSize} ${teacher?.vocabSize}`, () => {
      const found = distilbert.problems!(distilbert.options.parse(options), shapes(teacher));
      assert.equal(found.length, expected.length, found.join('\n'));
      expected.forEach((pattern, i) => assert.match(found[i]!, pattern));
    });
});

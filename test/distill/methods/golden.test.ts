/** Losses and gradients of distillation against PyTorch: fixtures/golden/distillation-losses.py. */
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cosine } from '../../../plugins/distill/src/methods/cosine.ts';
import { patience } from '../../../plugins/distill/src/methods/patience.ts';
import { prediction } from '../../../plugins/distill/src/methods/prediction.ts';
import { transformer } from '../../../plugins/distill/src/methods/tinybert.ts';
import { assertNear, flat, measure, type Measured, type Nested, type PlainStep } from './context.ts';

interface Golden {
  readonly mask: number[][];
  readonly temperature: number;
  readonly pairs: [number, number][];
  readonly student: { narrow: Nested[]; wide: Nested[]; scores: Nested[]; logits: Nested };
  readonly teacher: { wide: Nested[]; scores: Nested[]; logits: Nested };
  readonly projections: { weight: Nested; bias: Nested }[];
  readonly cases: Record<string, { terms: Record<string, number>; gradients: Record<string, Nested> }>;
}

const file = new URL('../../../fixtures/golden/distillation-losses.json', import.meta.url);
const golden = JSON.parse(readFileSync(file, 'utf8')) as Golden;

const { mask, student, teacher, projections, pairs } = golden;
const taught = { hiddenStates: teacher.wide, attentionScores: teacher.scores, logits: teacher.logits };

function projected(names: readonly string[]): PlainStep {
  const parameters = names.flatMap((name, i) =>
    Object.entries(projections[i]!).map(([part, value]) => [`${name}.${part}`, value]),
  );
  const own = { hiddenStates: student.narrow, attentionScores: student.scores };
  return { student: own, teacher: taught, mask, parameters: Object.fromEntries(parameters) as Record<string, Nested> };
}

const wide: PlainStep = { student: { hiddenStates: student.wide }, teacher: taught, mask };
const logits: PlainStep = { student: { logits: student.logits }, teacher: taught, mask };
const perLayer = projections.map((_, m) => `fit_denses.${m}`);

type Float = 'float64' | 'float32';
const cases: Readonly<Record<string, (float: Float) => Promise<Measured>>> = {
  transformer: (float) => measure(transformer, {}, projected(['fit_dense']), float),
  'transformer, per layer': (float) => measure(transformer, { projection: 'per-layer' }, projected(perLayer), float),
  'transformer, masked': (float) => measure(transformer, { padding: 'masked' }, projected(['fit_dense']), float),
  prediction: (float) => measure(prediction, { temperature: golden.temperature }, logits, float),
  patience: (float) => measure(patience, { map: pairs }, wide, float),
  'patience, not normalized': (float) => measure(patience, { map: pairs, normalize: false }, wide, float),
  cosine: (float) => measure(cosine, {}, wide, float),
};

/** The name that a gradient has in the golden file; projections are for the narrow student. */
function goldenName(name: string, title: string): string {
  return name
    .replace('fit_dense.', 'projections.0.')
    .replace('fit_denses.', 'projections.')
    .replace('hidden.', title.startsWith('transformer') ? 'narrow.' : 'wide.');
}

describe('PyTorch has the same losses and gradients', () => {
  assert.deepEqual(Object.keys(cases), Object.keys(golden.cases));
  for (const [title, run] of Object.entries(cases))
    for (const [float, tolerance] of [
      ['float64', 1e-11],
      ['float32', 2e-6],
    ] as const)
      it(`${title}, ${float}`, async () => {
        const { terms, gradients } = golden.cases[title]!;
        const measured = await run(float);
        const total = Object.values(terms).reduce((sum, term) => sum + term);
        assertNear(measured.loss, total, tolerance * Math.max(1, total));
        for (const [name, value] of Object.entries(measured.metrics))
          assertNear(value, terms[name]!, tolerance * 10, name);
        assert.deepEqual(
          Object.keys(measured.gradients)
            .map((name) => goldenName(name, title))
            .sort(),
          Object.keys(gradients).sort(),
        );
        for (const [name, values] of Object.entries(measured.gradients)) {
          const expected = flat(gradients[goldenName(name, title)]!);
          assert.equal(values.length, expected.length);
          values.forEach((value, i) => assertNear(value, expected[i]!, tolerance, `${name}[${i}]`));
        }
      });
});

/** Tables, identities and traps of Patient KD and Pea-KD that the tests of single parts leave open. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { patienceMap, type LayerPair } from '../../plugins/distill/src/layer-map.ts';
import { kd } from '../../plugins/distill/src/methods/kd.ts';
import { sharedPlan } from '../../plugins/distill/src/sharing.ts';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { activeLosses } from '../../plugins/distill/src/stage.ts';
import { elementCount, modelOf, numbersOf, tensorOf } from '../../src/graph/index.ts';
import {
  bertEncoder,
  bertFlops,
  bertParameters,
  encoderParameters,
  type BertArchitecture,
} from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { goldenArchitecture } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';
import { assertNear, measure, type PlainStep } from './methods/context.ts';
import { attentions, dropoutSites, stageStep, trainedConfig } from './stage-step.ts';

describe('BERT-base students: parameters and FLOPs at length 128', () => {
  const base = { hidden: 768, intermediate: 3072 };
  const rows: readonly [layers: number, parameters: number, plain: string, shared: string][] = [
    [1, 31_515_648, '1.86', '3.72'],
    [2, 38_603_520, '3.72', '7.45'],
    [3, 45_691_392, '5.59', '11.17'],
    [6, 66_955_008, '11.17', '16.76'],
  ];
  /** 10^9 of the layers alone. */
  const ofLayers = (depth: number) => ((bertFlops({ ...base, layers: depth }, 128) - 2 * 768 ** 2) / 1e9).toFixed(2);
  for (const [layers, parameters, plain, shared] of rows)
    it(`${layers} layers: sharing costs nothing in storage, and ${shared} in place of ${plain} GFLOPs`, () => {
      const { layerPlan } = sharedPlan(layers, 'sps2');
      assert.equal(bertParameters({ ...base, layers, depth: layerPlan.length }).total, parameters);
      assert.deepEqual([ofLayers(layers), ofLayers(layerPlan.length)], [plain, shared]);
    });

  it('the teacher', () => {
    assert.equal(bertParameters({ ...base, layers: 12 }).total, 109_482_240);
    assert.equal(ofLayers(12), '22.35');
    // A student that runs six layers costs what a plain one of six costs, whatever it stores.
    assert.equal(ofLayers(sharedPlan(3, 'sps2').layerPlan.length), ofLayers(6));
  });
});

describe('layers that a student with shared layers compares with 12 of its teacher', () => {
  const rows: readonly [layers: number, pairs: LayerPair[]][] = [
    [1, [[1, 6]]],
    [2, [[1, 3], [2, 6], [3, 9]]],
    [3, [[1, 2], [2, 4], [3, 6], [4, 8], [5, 10]]],
    [6, [[3, 4], [6, 8]]],
  ]; // prettier-ignore
  for (const [layers, pairs] of rows)
    it(`${layers} layers`, () =>
      assert.deepEqual(patienceMap('skip', sharedPlan(layers, 'sps2').layerPlan.length, 12), pairs));
});

describe('the second run of a layer', () => {
  const architecture: BertArchitecture = { ...goldenArchitecture, ...sharedPlan(2, 'sps2') };
  const random = seeded(7);
  const values = new Map(
    encoderParameters(architecture).map(({ name, shape }) => [
      name,
      tensorOf(
        'float32',
        shape,
        Array.from({ length: elementCount(shape) }, () => random.float() - 0.5),
      ),
    ]),
  );
  const ids = [5, 6, 7];

  /** The last hidden states of the three tokens, within so many positions. */
  async function lastStates(length: number, padding: number): Promise<number[]> {
    const g = new GraphBuilder();
    const row = (token: (i: number) => number) =>
      g.constant(
        tensorOf(
          'int64',
          [1, length],
          Array.from({ length }, (_, i) => token(i)),
        ),
      );
    const { hiddenStates } = bertEncoder(g, architecture, (name) => g.constant(values.get(name)!), {
      inputIds: row((i) => ids[i] ?? padding),
      attentionMask: row((i) => Number(i < ids.length)),
      tokenTypeIds: row(() => 0),
    });
    g.output('last', hiddenStates.at(-1)!);
    const { last } = await (await runModel(modelOf(g.build('encoder'))))(new Map());
    return numbersOf(last!).slice(0, ids.length * architecture.hiddenSize);
  }

  it('does not see padding: the mask is for keys, whichever projection made them', async () => {
    const [alone, padded, others] = [await lastStates(3, 0), await lastStates(6, 0), await lastStates(6, 9)];
    assert.deepEqual(others, padded);
    padded.forEach((value, i) => assertNear(value, alone[i]!, 1e-5, `value ${i}`));
  });

  it('has dropout masks of its own', async () => {
    const student = { ...trainedConfig(), ...sharedPlan(2, 'sps2') };
    const { dropout } = await stageStep('finetune', { student });
    assert.equal(dropout.length, dropoutSites(4));
    assert.equal(new Set(dropout.map(({ name }) => name)).size, dropout.length);
  });
});

it('Patient KD compares what the student has in training, with dropout, with what the teacher has without', async () => {
  const step = await stageStep('pkd');
  // One pass of the student alone: the teacher's rows are inputs.
  assert.deepEqual([step.dropout.length, attentions(step)], [dropoutSites(2), 2]);
  const taught = step.model.graph.inputs.map(({ name }) => name).filter((name) => name.startsWith('teacher/'));
  assert.deepEqual(taught.sort(), ['teacher/0/first-token-2', 'teacher/0/logits']);
});

describe('the softened probabilities', () => {
  const own = [[1.2, -0.3], [0.4, 0.9]]; // prettier-ignore
  const taught = [[2, -1], [-0.5, 1.5]]; // prettier-ignore
  const softened = (logits: readonly number[]) => {
    const powers = logits.map((logit) => Math.exp(logit / 10));
    return powers.map((power) => power / powers.reduce((a, b) => a + b));
  };

  it('have these divergences, one example at a time', async () => {
    for (const [i, divergence] of [0.00276818, 0.00279588].entries()) {
      const step: PlainStep = { student: { logits: [own[i]!] }, teacher: { logits: [taught[i]!] }, mask: [[1]] };
      assertNear((await measure(kd, { temperature: 10 }, step)).loss / 100, divergence, 5e-9);
    }
  });

  for (const [reduction, divisor] of [
    ['batchmean', 2],
    ['mean', 4],
  ] as const)
    it(`have the gradient T (p_S - p_T) / ${divisor}, ${reduction}`, async () => {
      const step: PlainStep = { student: { logits: own }, teacher: { logits: taught }, mask: [[1], [1]] };
      const { gradients } = await measure(kd, { temperature: 10, reduction }, step);
      const expected = own.flatMap((logits, i) => {
        const target = softened(taught[i]!);
        return softened(logits).map((p, c) => (10 * (p - target[c]!)) / divisor);
      });
      expected.forEach((value, i) => assertNear(gradients['logits']![i]!, value, 1e-12, `gradient ${i}`));
    });
});

describe('every ablation is a recipe', () => {
  const sharing = { plain: [], sps1: ['student.sharing=sps1'], sps2: ['student.sharing=sps2'] };
  const pretraining = { 'with PTP': 'pea-kd-ptp', 'without PTP': 'pkd' };
  const targets: Readonly<Record<string, readonly [set: string[], losses: string[]]>> = {
    finetuning: [['kd.weight=0', 'patience.weight=0', 'distillation.label.weight=1'], ['label']],
    KD: [['patience.weight=0'], ['label', 'kd']],
    PKD: [[], ['label', 'kd', 'patience']],
  };
  for (const [shared, ofSharing] of Object.entries(sharing))
    for (const [pretrained, method] of Object.entries(pretraining))
      for (const [target, [ofTarget, losses]] of Object.entries(targets))
        it(`${shared}, ${pretrained}, ${target}`, async () => {
          const set = [...ofSharing, ...ofTarget];
          const { recipe, problems } = await checkDistillRecipe({ method, set, flags: { student: { layers: 3 } } });
          assert.deepEqual(problems, []);
          const { student, stages } = recipe!;
          assert.equal(student!.sharing, shared === 'plain' ? undefined : shared);
          assert.equal(stages[0]!.ptp !== undefined, method === 'pea-kd-ptp');
          assert.deepEqual(activeLosses(stages.at(-1)!).map((loss) => loss.method), losses); // prettier-ignore
        });
});

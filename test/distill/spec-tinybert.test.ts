/** Tables and traps of TinyBERT and DistilBERT that the tests of single parts leave open. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { transformer } from '../../plugins/distill/src/methods/tinybert.ts';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { initialize, studentFromCheckpoint } from '../../plugins/distill/src/student.ts';
import type { Checkpoint } from '../../src/checkpoint/index.ts';
import { elementCount, numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import {
  bertFlops,
  bertParameters,
  encoderParameters,
  maskedLmParameters,
  parameterCount,
  type BertSizes,
} from '../../src/nn/index.ts';
import { adamwScalars } from '../../src/optim/index.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';
import { configOf } from './methods/context.ts';
import { stagesOf, stageStep } from './stage-step.ts';

describe('sizes of the papers', () => {
  const base: BertSizes = { layers: 12, hidden: 768, intermediate: 3072 };
  const tiny: BertSizes = { layers: 4, hidden: 312, intermediate: 1200 };
  const rows: readonly [
    name: string,
    sizes: BertSizes,
    embeddings: number,
    layer: number,
    backbone: number,
    withPooler: number,
    /** With the heads of pretraining, as the 14.5 M of TinyBERT4. */
    withHeads: number,
    flops: string,
  ][] = [
    ['BERT-base', base, 23_837_184, 7_087_872, 108_891_648, 109_482_240, 110_106_428, '22.35'],
    ['TinyBERT4', tiny, 9_683_856, 1_142_184, 14_252_592, 14_350_248, 14_479_676, '1.25'],
    ['TinyBERT6', { ...base, layers: 6 }, 23_837_184, 7_087_872, 66_364_416, 66_955_008, 67_579_196, '11.17'],
    ['4 x 768', { ...base, layers: 4 }, 23_837_184, 7_087_872, 52_188_672, 52_779_264, 53_403_452, '7.45'],
  ];
  for (const [name, sizes, embeddings, layer, backbone, withPooler, withHeads, flops] of rows)
    it(name, () => {
      const counted = bertParameters(sizes);
      assert.deepEqual([counted.embeddings, counted.layer, counted.total], [embeddings, layer, withPooler]);
      const architecture = {
        ...{ ...configOf({ layers: sizes.layers, width: sizes.hidden, heads: 12, labels: 2 }), vocabSize: 30522 },
        ...{ intermediateSize: sizes.intermediate, maxPositions: 512 },
      };
      assert.equal(parameterCount(encoderParameters(architecture)), backbone);
      const nextSentence = 2 * sizes.hidden + 2;
      assert.equal(withPooler + parameterCount(maskedLmParameters(architecture)) + nextSentence, withHeads);
      assert.equal(((bertFlops(sizes, 128) - 2 * sizes.hidden ** 2) / 1e9).toFixed(2), flops);
    });

  for (const [width, parameters] of [
    [312, 240_384],
    [768, 590_592],
  ] as const)
    it(`the projection from ${width} to 768, in training alone`, () => {
      const config = (hidden: number) => configOf({ layers: 1, width: hidden, heads: 12, labels: 2 });
      const shapes = { student: config(width), teacher: config(768), regression: false };
      assert.equal(parameterCount(transformer.parameters!(transformer.options.parse({}), shapes)), parameters);
    });

  it('compression and compute of TinyBERT4: 7.63 and 18 times less', () => {
    const [large, small] = [base, tiny].map((sizes) => bertParameters(sizes).total);
    assert.equal((large! / small!).toFixed(2), '7.63');
    assert.equal(Math.round(bertFlops(base, 128) / bertFlops(tiny, 128)), 18);
  });
});

describe('named recipes', () => {
  it('tinybert: two stages; the first is not chosen by what an untrained head says', async () => {
    const [first, second, ...others] = await stagesOf('tinybert');
    assert.deepEqual(others, []);
    assert.deepEqual(
      [first!.losses.map(({ method }) => method), second!.losses.map(({ method }) => method)],
      [['transformer'], ['prediction']],
    );
    assert.deepEqual([first!.keep, second!.keep], ['last', 'best']);
    assert.deepEqual([first!.train.schedule, first!.train.warmup], ['constant', 0]);
  });

  it('tinybert-general hides no token: nothing is drawn, ids are read as they are', async () => {
    assert.deepEqual([transformer.draws, transformer.predictsTokens], [undefined, undefined]);
    const names = (await stageStep('tinybert-general')).model.graph.inputs.map(({ name }) => name);
    assert.ok(names.includes('input_ids'));
    assert.deepEqual(names.filter((name) => /^(masked|labels)/.test(name)), []); // prettier-ignore
  });

  it('distilbert hides rare tokens rather than frequent ones', async () => {
    const [stage] = await stagesOf('distilbert');
    const [loss] = stage!.losses as unknown as [{ masking: object; alphaCe: number }];
    assert.deepEqual(loss.masking, {
      ...{ probability: 0.15, maskShare: 0.8, keepShare: 0.1 },
      ...{ selection: 'rare', maxPerSequence: 20 },
    });
    const { lr, warmup, betas, eps, weightDecay, clipNorm } = stage!.train;
    assert.deepEqual({ lr, warmup, betas, eps, weightDecay, clipNorm }, {
      ...{ lr: 5e-4, warmup: 0.05, betas: [0.9, 0.98], eps: 1e-6, weightDecay: 0, clipNorm: 5 },
    }); // prettier-ignore
  });

  const folder = fileURLToPath(new URL('../../docs/recipes/', import.meta.url));
  for (const name of readdirSync(folder).filter((file) => /^tinybert-.*\.json$/.test(file)))
    it(`${name} is a recipe`, async () => {
      const sources = { file: `${folder}${name}`, flags: { student: { layers: 2 } } };
      const { recipe, problems } = await checkDistillRecipe(sources);
      assert.deepEqual(problems, []);
      const plain = await checkDistillRecipe({ method: 'tinybert', flags: sources.flags });
      assert.notDeepEqual(recipe!.stages, plain.recipe!.stages);
      assert.deepEqual(recipe!.stages[0]!.train, plain.recipe!.stages[0]!.train);
    });
});

describe('projections', () => {
  it('for each hidden state are taken along with a general student, as the released models have them', () => {
    const config = configOf({ layers: 2, width: 2, heads: 1, labels: 2 });
    const shapes = {
      student: config,
      teacher: configOf({ layers: 4, width: 3, heads: 1, labels: 2 }),
      regression: false,
    };
    const given = transformer.options.parse({ projection: 'per-layer' });
    const parameters = transformer.parameters!(given, shapes);
    const stored = parameters.map(({ name, kind }, i) => {
      const dims = kind === 'linear' ? [3, 2] : [3];
      return [
        name,
        tensorOf(
          'float32',
          dims,
          Array.from({ length: elementCount(dims) }, (_, k) => 10 * i + k),
        ),
      ] as const;
    });
    const extra = new Map<string, Tensor>([...stored, ['cls.seq_relationship.bias', tensorOf('float32', [2], [1, 2])]]);
    const student = studentFromCheckpoint({
      config,
      weights: new Map(),
      extra,
      dir: 'general',
    } as unknown as Checkpoint);
    assert.deepEqual([...student.weights.keys()], stored.map(([name]) => name)); // prettier-ignore
    const values = initialize(parameters, student.weights, config, 1);
    assert.equal(parameters.length, 6);
    parameters.forEach(({ name, kind }, i) => {
      const expected = kind === 'linear' ? [0, 2, 4, 1, 3, 5] : [0, 1, 2];
      assert.deepEqual(numbersOf(values.get(name)!), expected.map((k) => 10 * i + k), name); // prettier-ignore
    });
  });
});

describe('the embedding of padding', () => {
  /** Largest change of each row of the word embeddings in one step without weight decay; the second row has padding. */
  async function changes(set: readonly string[]): Promise<number[]> {
    const student = configOf({ layers: 2, width: 4, heads: 2, labels: 2 });
    const teacher = configOf({ layers: 4, width: 4, heads: 2, labels: 2 });
    const { model } = await stageStep('tinybert', { student, teacher, stage: 'intermediate', set });
    const random = seeded(2);
    const scalars: Readonly<Record<string, number>> = (({ stepSize, epsilon }) => ({
      ...{ step_size: stepSize, epsilon, shrink: 1 },
    }))(adamwScalars({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }, 1, 0.1));
    const ids = [1, 5, 6, 2, 1, 5, 2, 0];
    const integers: Readonly<Record<string, readonly number[]>> = {
      input_ids: ids,
      attention_mask: ids.map((id) => Number(id > 0)),
    };
    const feeds = new Map(
      model.graph.inputs.map(({ name, dtype, shape }): [string, Tensor] => {
        const dims = shape as number[];
        const count = elementCount(dims);
        if (dtype === 'int64')
          return [name, tensorOf('int64', dims, integers[name] ?? new Array<number>(count).fill(0))];
        const value = scalars[name] ?? (name === 'weights' ? 1 : name.startsWith('moment') ? 0 : undefined);
        return [
          name,
          tensorOf(
            'float32',
            dims,
            Array.from({ length: count }, () => value ?? random.float() - 0.5),
          ),
        ];
      }),
    );
    const name = 'bert.embeddings.word_embeddings.weight';
    const [before, after] = [feeds.get(name)!, (await (await runModel(model))(feeds))[`next/${name}`]!].map(numbersOf);
    return Array.from({ length: student.vocabSize }, (_, row) =>
      Math.max(...[0, 1, 2, 3].map((i) => Math.abs(after![row * 4 + i]! - before![row * 4 + i]!))),
    );
  }

  it('is trained where padded positions are compared, and only there', async () => {
    const [published, masked] = [await changes([]), await changes(['padding=masked'])];
    for (const rows of [published, masked]) {
      for (const used of [1, 2, 5, 6]) assert.ok(rows[used]! > 0.01, `${used}: ${rows[used]}`);
      assert.equal(rows[7], 0);
    }
    assert.ok(published[0]! > 0.01);
    assert.equal(masked[0], 0);
  });
});

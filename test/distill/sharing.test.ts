/** Shared layers as data: every pattern and preset, what they store, and what the shuffle does to the scores. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sharedPlan, sharingProblems, sharingSchema, type Sharing } from '../../plugins/distill/src/sharing.ts';
import { elementCount, modelOf, numbersOf, tensorOf } from '../../src/graph/index.ts';
import {
  bertEncoder,
  classifierParameters,
  encoderParameters,
  parameterCount,
  type BertArchitecture,
} from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { goldenArchitecture } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';

const parse = (input: unknown): Sharing => sharingSchema.parse(input);

describe('the plan of shared layers', () => {
  const cases: readonly [physical: number, sharing: unknown, plan: number[], swapped: number[]][] = [
    [1, 'sps2', [0, 0], [1]],
    [2, 'sps2', [0, 1, 0, 1], [2, 3]],
    [3, 'sps2', [0, 1, 2, 0, 1, 2], [3, 4, 5]],
    [4, 'sps2', [0, 1, 2, 3, 0, 1, 2, 3], [4, 5, 6, 7]],
    [6, 'sps2', [0, 1, 2, 3, 4, 5, 3, 4, 5], [6, 7, 8]],
    [1, 'sps1', [0, 0], []],
    [3, 'sps1', [0, 1, 2, 0, 1, 2], []],
    [6, 'sps1', [0, 1, 2, 3, 4, 5, 3, 4, 5], []],
    [3, {}, [0, 1, 2, 0, 1, 2], [3, 4, 5]],
    [3, { pattern: 'stack', shuffle: 'none' }, [0, 1, 2, 0, 1, 2], []],
    [3, { pattern: 'interleave' }, [0, 0, 1, 1, 2, 2], [1, 3, 5]],
    [3, { pattern: 'interleave', shuffle: 'none' }, [0, 0, 1, 1, 2, 2], []],
    [6, { pattern: 'interleave' }, [0, 1, 2, 3, 3, 4, 4, 5, 5], [4, 6, 8]],
    [3, { pattern: 'mirror' }, [0, 1, 2, 2, 1, 0], [3, 4, 5]],
    [3, { pattern: 'mirror', shuffle: 'none' }, [0, 1, 2, 2, 1, 0], []],
    [6, { pattern: 'mirror' }, [0, 1, 2, 3, 4, 5, 5, 4, 3], [6, 7, 8]],
    [6, { repeat: [0, 1, 2] }, [0, 1, 2, 3, 4, 5, 0, 1, 2], [6, 7, 8]],
    [6, { repeat: [0, 1, 2, 3, 4, 5] }, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]],
    [3, { repeat: [2, 0] }, [0, 1, 2, 2, 0], [3, 4]],
    [3, { pattern: 'interleave', repeat: [2, 0] }, [0, 0, 1, 2, 2], [1, 4]],
    [3, { pattern: 'mirror', repeat: [0, 2] }, [0, 1, 2, 2, 0], [3, 4]],
  ];
  for (const [physical, sharing, layerPlan, swappedDepths] of cases)
    it(`of ${physical} layers with ${JSON.stringify(sharing)}`, () =>
      assert.deepEqual(sharedPlan(physical, parse(sharing)), { layerPlan, swappedDepths }));
});

describe('a sharing that cannot be', () => {
  const problems: readonly [unknown, RegExp[]][] = [
    [{ repeat: [1, 3, 7] }, [/^repeat: expected layers 0 to 2 of 3, found 3, 7$/]],
    [{ repeat: [2, 1, 2] }, [/^repeat: expected each layer once, found 2 more than once$/]],
    [{ repeat: [3, 3] }, [/found 3, 3$/, /found 3 more than once$/]],
    [{ repeat: [0] }, []],
    ['sps2', []],
  ];
  for (const [sharing, expected] of problems)
    it(`of three layers: ${JSON.stringify(sharing)}`, () => {
      const found = sharingProblems(3, parse(sharing));
      assert.equal(found.length, expected.length);
      expected.forEach((pattern, i) => assert.match(found[i]!, pattern));
      if (expected.length > 0) assert.throws(() => sharedPlan(3, parse(sharing)), /^Error: internal: repeat/);
    });

  const refused: readonly [unknown, RegExp][] = [
    ['sps3', /^expected sps1, sps2 or \{pattern/],
    [3, /^expected sps1, sps2 or \{pattern/],
    [{ pattern: 'abc' }, /^expected sps1, sps2 or \{pattern/],
    [{ repeat: [] }, />=1 items$/],
    [{ repeat: [-1] }, />=0$/],
    [{ repeat: [0.5] }, /^expected sps1, sps2 or \{pattern/],
    [{ layers: [1] }, /^Unrecognized key: "layers"$/],
  ];
  for (const [input, message] of refused)
    it(`is not accepted: ${JSON.stringify(input)}`, () =>
      assert.match(sharingSchema.safeParse(input).error!.issues[0]!.message, message));
});

describe('BERT-base with shared layers', () => {
  const base: BertArchitecture = {
    ...goldenArchitecture,
    vocabSize: 30522,
    hiddenSize: 768,
    heads: 12,
    intermediateSize: 3072,
    maxPositions: 512,
  };
  // Encoder, embeddings and pooler; effective depth. Section 1.6 of the method's description.
  const cases: readonly [physical: number, parameters: number, depth: number][] = [
    [1, 31_515_648, 2],
    [2, 38_603_520, 4],
    [3, 45_691_392, 6],
    [6, 66_955_008, 9],
  ];
  const classifier = 768 * 2 + 2;
  for (const [physical, parameters, depth] of cases)
    it(`stores ${physical} layers and runs ${depth}`, () => {
      for (const layerPlan of [[...Array(physical).keys()], sharedPlan(physical, 'sps1').layerPlan])
        assert.equal(parameterCount(classifierParameters({ ...base, layerPlan }, 2)), parameters + classifier);
      const plan = sharedPlan(physical, 'sps2');
      assert.equal(parameterCount(classifierParameters({ ...base, ...plan }, 2)), parameters + classifier);
      assert.equal(plan.layerPlan.length, depth);
    });
});

it('the shuffle transposes the scores of the second run, before the mask', async () => {
  const scores = async (sharing: Sharing) => {
    const architecture: BertArchitecture = { ...goldenArchitecture, activation: 'relu', ...sharedPlan(1, sharing) };
    const random = seeded(5);
    const g = new GraphBuilder('float64');
    const values = new Map(
      encoderParameters(architecture).map(({ name, shape }) => {
        const numbers = Array.from({ length: elementCount(shape) }, () => random.float() - 0.5);
        return [name, g.constant(tensorOf('float64', shape, numbers))];
      }),
    );
    const ids = (numbers: number[]) => g.constant(tensorOf('int64', [1, 4], numbers));
    const { attentionScores } = bertEncoder(g, architecture, (name) => values.get(name) ?? assert.fail(name), {
      inputIds: ids([5, 6, 7, 0]),
      attentionMask: ids([1, 1, 1, 0]),
      tokenTypeIds: ids([0, 0, 1, 0]),
    });
    attentionScores.forEach((value, depth) => g.output(`${depth}`, value));
    const results = await (await runModel(modelOf(g.build('encoder'))))(new Map());
    return [numbersOf(results['0']!), numbersOf(results['1']!)] as const;
  };
  const [plain, shuffled] = [await scores('sps1'), await scores('sps2')];
  assert.deepEqual(shuffled[0], plain[0]);
  const length = 4;
  const transposed = plain[1].map((_, i) => {
    const [head, row, column] = [Math.floor(i / length ** 2), Math.floor(i / length) % length, i % length];
    return plain[1][head * length ** 2 + column * length + row]!;
  });
  shuffled[1].forEach((value, i) =>
    assert.ok(Math.abs(value - transposed[i]!) < 1e-12, `${value}, not ${transposed[i]}`),
  );
  assert.ok(
    plain[1].some((value, i) => Math.abs(value - transposed[i]!) > 0.01),
    'the scores are not symmetric',
  );
});

/** Sharing is data: an encoder whose plan repeats layers is the plain encoder with tied layers. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { gradients } from '../../src/autodiff/index.ts';
import { checkGraph, elementCount, modelOf, numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { bertClassifier, classifierParameters, crossEntropy, type BertArchitecture } from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';

const F = 'float64';
const shared: BertArchitecture = {
  vocabSize: 11,
  hiddenSize: 8,
  heads: 2,
  intermediateSize: 12,
  // Erf has no float64 kernel.
  activation: 'gelu_new',
  maxPositions: 6,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  initializerRange: 0.02,
  hiddenDropout: 0,
  attentionDropout: 0,
  classifierDropout: 0,
  layerPlan: [0, 1, 0, 1],
};
const plain: BertArchitecture = { ...shared, layerPlan: [0, 1, 2, 3] };

/** The shared layer in place of each plain one. */
const tied = (name: string) => name.replace(/layer\.(\d)/, (_, layer) => `layer.${Number(layer) % 2}`);

const random = seeded(3);
const values = new Map(
  classifierParameters(shared, 2).map(({ name, shape }) => {
    const numbers = Array.from({ length: elementCount(shape) }, () => random.float() - 0.5);
    return [name, tensorOf(F, shape, numbers)];
  }),
);

/** Loss, and the gradient of every parameter, with the same values for tied layers. */
async function lossAndGradients(architecture: BertArchitecture): Promise<Record<string, Tensor>> {
  const g = new GraphBuilder(F);
  const parameters = classifierParameters(architecture, 2);
  const inputs = new Map(parameters.map(({ name, shape }) => [name, g.input(name, F, shape)]));
  const ids = (numbers: number[]) => g.constant(tensorOf('int64', [2, 4], numbers));
  const { logits } = bertClassifier(g, architecture, (name) => inputs.get(name) ?? assert.fail(name), {
    inputIds: ids([1, 2, 3, 4, 5, 6, 0, 0]),
    attentionMask: ids([1, 1, 1, 1, 1, 1, 0, 0]),
    tokenTypeIds: ids([0, 0, 1, 1, 0, 0, 0, 0]),
  });
  const loss = crossEntropy(g, logits, g.ints([0, 1]), g.constant(tensorOf(F, [2], [1, 1])));
  const grads = gradients(g, loss, [...inputs.values()]);
  g.output('loss', loss);
  parameters.forEach(({ name }, i) => g.output(`d/${name}`, grads[i] ?? assert.fail(`no gradient of ${name}`)));
  const graph = g.build('encoder');
  checkGraph(graph);
  return (await runModel(modelOf(graph)))(new Map(parameters.map(({ name }) => [name, values.get(tied(name))!])));
}

it('a shared layer gets the sum of the gradients of its uses', async () => {
  const [actual, unshared] = [await lossAndGradients(shared), await lossAndGradients(plain)];
  assert.deepEqual(actual['loss'], unshared['loss']);
  const sums = new Map<string, number[]>();
  for (const { name } of classifierParameters(plain, 2)) {
    const sum = sums.get(tied(name));
    const numbers = numbersOf(unshared[`d/${name}`]!);
    sums.set(tied(name), sum ? sum.map((value, i) => value + numbers[i]!) : numbers);
  }
  assert.equal(sums.size, values.size);
  for (const [name, sum] of sums)
    numbersOf(actual[`d/${name}`]!).forEach((value, i) =>
      // LayerNormalization keeps its statistics in float32.
      assert.ok(Math.abs(value - sum[i]!) < 1e-6, `${name}[${i}]: ${value}, not ${sum[i]}`),
    );
  const twice = numbersOf(actual['d/bert.encoder.layer.0.intermediate.dense.weight']!);
  const once = numbersOf(unshared['d/bert.encoder.layer.0.intermediate.dense.weight']!);
  assert.ok(
    twice.some((value, i) => Math.abs(value - once[i]!) > 1e-4),
    'the second use matters',
  );
});

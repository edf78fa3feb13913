/** BERT as a graph against Transformers (golden values). */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { modelOf, type Tensor } from '../../src/graph/index.ts';
import { bertClassifier, classifierParameters, type ClassifierOutputs } from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { distance, goldenArchitecture, goldenBatch, goldenTensors, graphTensor } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';

async function run(shape: [number | string, number | string]): Promise<Record<string, Tensor>> {
  const weights = await goldenTensors('model');
  const g = new GraphBuilder();
  const parameters = new Map(
    classifierParameters(goldenArchitecture, 3).map((p) => [p.name, g.initializer(p.name, graphTensor(weights, p))]),
  );
  const outputs: ClassifierOutputs = bertClassifier(
    g,
    goldenArchitecture,
    (name) => parameters.get(name) ?? assert.fail(name),
    {
      inputIds: g.input('input_ids', 'int64', shape),
      attentionMask: g.input('attention_mask', 'int64', shape),
      tokenTypeIds: g.input('token_type_ids', 'int64', shape),
    },
  );
  g.output('logits', outputs.logits);
  g.output('pooler', outputs.pooled);
  outputs.hiddenStates.forEach((value, i) => g.output(`hidden.${i}`, value));
  outputs.attentionScores.forEach((value, i) => g.output(`scores.${i}`, value));
  return (await runModel(modelOf(g.build('bert'))))(goldenBatch());
}

describe('the forward graph agrees with Transformers', () => {
  let expected: Map<string, Tensor<'float32'>>;
  before(async () => {
    expected = await goldenTensors('forward');
  });
  const shapes: [string, [number | string, number | string]][] = [
    ['static shapes', [4, 10]],
    ['symbolic shapes', ['batch_size', 'sequence_length']],
  ];
  for (const [title, shape] of shapes)
    it(`logits, hidden states and attention scores, ${title}`, async () => {
      const actual = await run(shape);
      assert.deepEqual(Object.keys(actual).sort(), [...expected.keys()].sort());
      for (const [name, value] of expected) {
        const error = distance(actual[name] as Tensor, value);
        assert.ok(error < 1e-4, `${name} differs by ${error}`);
      }
    });
});

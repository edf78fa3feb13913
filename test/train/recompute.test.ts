/** A training step that computes inner values twice: the same losses and weights to the bit, in less memory. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { checkGraph } from '../../src/graph/index.ts';
import { plainPlan } from '../../src/nn/index.ts';
import { buildStep, stepMemory, type StepOptions } from '../../src/train/index.ts';
import { architecture, bucket, drive, objectiveOf, plainOptions, type LossTerm } from './driven-step.ts';

const again: StepOptions = { ...plainOptions, recompute: true };

/** As TinyBERT has it: hidden states and attention scores of all layers. */
const innerValues: LossTerm = ({ g }, { hiddenStates, attentionScores }) =>
  [...hiddenStates, ...attentionScores].map((x) => g.scale(g.total(g.mul(x, x)), 1e-3)).reduce((a, b) => g.add(a, b));

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 2 });
});
after(() => engine.close());

describe('a step with recomputation', () => {
  const shared = { ...architecture, layerPlan: [0, 1, 0, 1], swappedDepths: [2, 3] };
  const objectives = {
    'of a BERT': objectiveOf(),
    'of a loss that reads inner values': objectiveOf(architecture, innerValues),
    'of layers that run twice': objectiveOf(shared),
    'of a student that is asked twice': objectiveOf(
      architecture,
      (context) =>
        objectiveOf().loss({ ...context, labels: context.g.op('Cast', [context.weights], { to: 'int64' }) }).loss,
    ),
  };
  for (const [title, objective] of Object.entries(objectives))
    it(`gives the same bits, ${title}`, async () => {
      const results = [];
      for (const options of [plainOptions, again]) {
        const sum: StepOptions = { ...options, mode: 'accumulate' };
        const last: StepOptions = { ...options, mode: 'update-accumulated', batches: 2 };
        results.push(
          await drive(
            engine,
            objective,
            [options, options, sum, last].map((options) => ({ options })),
          ),
        );
      }
      const [expected, found] = results;
      assert.deepEqual(found, expected);
      assert.equal(new Set(expected!.results.map(({ loss }) => loss)).size, 4);
    });

  it('computes each layer twice but the last', () => {
    const softmaxes = (options: StepOptions, layers: number) => {
      const { graph } = buildStep(
        objectiveOf({ ...architecture, layerPlan: plainPlan(layers) }),
        bucket,
        options,
      ).model;
      checkGraph(graph);
      return graph.nodes.filter(({ opType }) => opType === 'Softmax').length;
    };
    for (const layers of [1, 2, 5])
      assert.deepEqual([softmaxes(plainOptions, layers), softmaxes(again, layers)], [layers, 2 * layers - 1]);
  });

  it('needs the memory of one layer, and the inputs of the others', () => {
    const wide = { rows: 16, length: 64 };
    const peak = (options: StepOptions, layers: number) =>
      stepMemory(buildStep(objectiveOf({ ...architecture, layerPlan: plainPlan(layers) }), wide, options)).peak;
    const growth = (options: StepOptions) => (peak(options, 9) - peak(options, 3)) / 6;
    const input = 4 * wide.rows * wide.length * architecture.hiddenSize;
    assert.ok(growth(plainOptions) > 20 * input, `${growth(plainOptions)} bytes a layer`);
    // Most is needed in the backward pass of the last layer, when the others have no gradients yet.
    assert.equal(growth(again), input);
  });
});

/** The memory that a step is said to need, against graphs that can be counted by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelOf } from '../../src/graph/index.ts';
import { bertClassifier, classifierParameters, crossEntropy } from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { buildStep, stepMemory, type Objective, type StepOptions } from '../../src/train/index.ts';
import { goldenArchitecture } from '../support/golden.ts';

const options: StepOptions = {
  adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  clipNorm: Infinity,
  mode: 'update',
};

function memoryOf(build: (g: GraphBuilder) => void) {
  const g = new GraphBuilder();
  build(g);
  return stepMemory({ model: modelOf(g.build('by hand')) });
}

describe('the memory of a graph', () => {
  it('is its inputs, and the most that lives at one time', () => {
    const memory = memoryOf((g) => {
      const x = g.input('x', 'float32', [10]);
      const ids = g.input('ids', 'int64', [3]);
      const mask = g.input('mask', 'bool', [8]);
      const first = g.op('Neg', [x]); // 40 bytes: 40
      const second = g.op('Exp', [first]); // 40 more: 80, then 40 without the first
      const third = g.op('Neg', [second]); // 80
      const wide = g.op('Cast', [g.add(second, third)], { to: 'float64' }); // 120, then 40 + 80 = 120, then 80
      const both = g.op('Concat', [wide, wide], { axis: 0 }); // 80 + 160 = 240
      g.output('sum', g.op('Cast', [g.total(both)], { to: 'float32' }));
      g.output('picked', g.op('Gather', [g.op('Cast', [mask], { to: 'float32' }), ids], { axis: 0 }));
    });
    assert.deepEqual(memory, { resident: 40 + 24 + 8, peak: 240 });
  });

  it('holds on to what is read late', () => {
    const chain = (late: boolean) =>
      memoryOf((g) => {
        const x = g.input('x', 'float32', [100]);
        const early = g.op('Exp', [x]);
        let last = early;
        for (let i = 0; i < 5; i++) last = g.op('Neg', [last]);
        g.output('y', late ? g.add(last, early) : g.op('Neg', [last]));
      });
    assert.equal(chain(false).peak, 2 * 400);
    assert.equal(chain(true).peak, 3 * 400);
  });

  it('leaves out what is written over the state, and what has no size yet', () => {
    assert.deepEqual(
      memoryOf((g) => g.output('y', g.op('Neg', [g.input('x', 'float32', [5])]))),
      { resident: 20, peak: 0 },
    );
    assert.deepEqual(
      memoryOf((g) => g.output('y', g.op('Exp', [g.op('Neg', [g.input('x', 'float32', ['batch'])])]))),
      { resident: 0, peak: 0 },
    );
  });
});

describe('the memory of a step', () => {
  it('has the parameters three times, and their gradients', () => {
    const objective: Objective = {
      parameters: [
        { name: 'a', shape: [50, 20], kind: 'linear' },
        { name: 'b', shape: [50, 20], kind: 'linear' },
      ],
      regression: false,
      loss: ({ g, parameter }) => ({ loss: g.total(g.mul(g.op('Exp', [parameter('a')]), parameter('b'))) }),
    };
    const { resident, peak } = stepMemory(buildStep(objective, { rows: 1, length: 3 }, options));
    const [matrix, scalars] = [4 * 1000, 3 * 4];
    assert.equal(resident, 2 * 3 * matrix + scalars);
    // Both gradients wait for the global norm; beside them is the update of one parameter.
    assert.ok(peak >= 2 * matrix && peak <= 8 * matrix, `${peak} bytes`);
  });

  const parameters = classifierParameters(goldenArchitecture, 3);
  const bert: Objective = {
    parameters,
    regression: false,
    loss: ({ g, parameter, inputs, labels, weights, dropout }) => {
      const { logits } = bertClassifier(g, goldenArchitecture, parameter, inputs, dropout);
      return { loss: crossEntropy(g, logits, labels, weights) };
    },
  };

  it('counts every inner value of a BERT', () => {
    const { graph } = buildStep(bert, { rows: 4, length: 10 }, options).model;
    const outputs = new Set(graph.outputs.map(({ name }) => name));
    const unknown = graph.nodes.flatMap((node) =>
      node.outputs.filter((name) => !outputs.has(name) && !graph.values.has(name)),
    );
    assert.deepEqual(unknown, []);
  });

  it('grows with the batch', () => {
    const peak = (rows: number) => stepMemory(buildStep(bert, { rows, length: 16 }, options)).peak;
    const { hiddenSize, intermediateSize, heads, layerPlan } = goldenArchitecture;
    // At the least the backward pass needs, of each layer: its input, its scores and the inner value of its feed-forward.
    const perRow = 4 * 16 * layerPlan.length * (hiddenSize + heads * 16 + intermediateSize);
    const growth = (peak(64) - peak(32)) / 32;
    assert.ok(growth >= perRow && growth <= 10 * perRow, `${growth} bytes a row, at least ${perRow}`);
  });
});

/** Every gradient rule against central differences, computed by ONNX Runtime in float64 over randomised shapes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gradients } from '../../src/autodiff/index.ts';
import { seeded } from '../support/seeded.ts';
import { checkGraph, elementCount, modelOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { GraphBuilder, type OpType } from '../../src/ops/index.ts';
import { runModel } from '../support/run-model.ts';
import { drawer } from './drawer.ts';
import { samples, type Sample } from './samples.ts';

const TRIALS = 3;

async function checkSample(sample: Sample, seed: number): Promise<void> {
  const float = sample.float ?? 'float64';
  const [step, tolerance] = float === 'float64' ? [1e-5, 1e-6] : [1e-2, 2e-3];
  const random = seeded(seed + 1);
  const g = new GraphBuilder(float);
  const inputs = new Map<string, Tensor>();
  const { draw, variables } = drawer(g, random, inputs);
  const y = sample.build(g, draw);
  const weights = g.constant(
    tensorOf(
      float,
      y.shape as number[],
      Array.from({ length: elementCount(y.shape as number[]) }, () => random.float() - 0.5),
    ),
  );
  const loss = g.total(g.mul(y, weights));
  const grads = gradients(g, loss, variables);
  g.output('loss', loss);
  const wrt = variables.filter((_, i) => grads[i]);
  assert.ok(wrt.length > 0, 'some gradient exists');
  grads.forEach((grad, i) => {
    if (!grad) return;
    assert.deepEqual(grad.shape, variables[i]?.shape);
    g.output(`d${variables[i]?.name}`, grad);
  });
  const graph = g.build('sample');
  checkGraph(graph);
  const run = await runModel(modelOf(graph));
  const results = await run(inputs);
  for (const variable of wrt) {
    const analytic = results[`d${variable.name}`]?.data as Float64Array;
    const base = inputs.get(variable.name) as Tensor<'float64'>;
    for (let i = 0; i < base.data.length; i++) {
      const at = async (delta: number) => {
        const data = base.data.slice();
        data[i] = (data[i] as number) + delta;
        const moved = await run(new Map(inputs).set(variable.name, { ...base, data }));
        return { loss: (moved['loss']?.data as Float64Array)[0] as number, x: data[i] as number };
      };
      const [up, down] = [await at(step), await at(-step)];
      const numeric = (up.loss - down.loss) / (up.x - down.x);
      const error = Math.abs(numeric - (analytic[i] as number));
      assert.ok(
        error <= tolerance * Math.max(1, Math.abs(numeric)),
        `${variable.name}[${i}]: analytic ${analytic[i]}, numeric ${numeric}`,
      );
    }
  }
}

describe('gradients agree with central differences', () => {
  for (const type of Object.keys(samples) as OpType[])
    for (const sample of samples[type])
      it(`${type}: ${sample.title}`, async () => {
        for (let seed = 0; seed < TRIALS; seed++) await checkSample(sample, seed);
      });
});

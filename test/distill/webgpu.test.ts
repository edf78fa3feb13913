/** Distillation by WebGPU, on a software adapter where there is no GPU: where the steps run, and the CPU's losses. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';
import { stageStep } from './stage-step.ts';
import { loggedSteps, run, tinyData, useScene } from './tiny-run.ts';

const skip = await useSoftwareVulkan();

describe('distillation by webgpu', { skip }, () => {
  const scene = useScene(({ path }) => writeTinyClassifier(path('teacher')));
  let gpu: Engine;
  before(async () => {
    gpu = await openEngine({ device: 'webgpu' });
  });
  after(() => gpu.close());

  const stages = [
    ['kd', 'distillation'],
    ['pkd', 'distillation'],
    ['distilbert', 'pretraining'],
    ['tinybert', 'intermediate'],
    ['tinybert', 'prediction'],
    ['pea-kd', 'ptp'],
    ['pea-kd', 'distillation'],
    ['mixkd', 'distillation'],
  ] as const;
  // The sizes of rows and layers change nothing in where a node is placed.
  for (const [method, stage] of stages)
    it(`every node of a step of ${method}, ${stage}, is on the device`, async () => {
      const { model } = await stageStep(method, { stage });
      await (await gpu.createSession(model, { cpuFallback: false })).release();
    });

  it('has the losses of the CPU', async () => {
    const [teacher, data] = [scene.path('teacher'), await tinyData(8, 4)];
    const losses = async (engine: Engine, out: string) => {
      await run(engine, { method: 'kd', teachers: [teacher], student: 'layers=1', data, out: scene.path(out) });
      return (await loggedSteps(scene.path(out))).flatMap(({ loss }) => (loss === undefined ? [] : [Number(loss)]));
    };
    const [expected, actual] = [await losses(scene.engine, 'cpu'), await losses(gpu, 'webgpu')];
    assert.ok(expected.length >= 2);
    assert.equal(actual.length, expected.length);
    actual.forEach((loss, i) => {
      const wanted = expected[i] as number;
      assert.ok(Math.abs(loss - wanted) <= 1e-5 * Math.abs(wanted), `step ${i}: ${loss} is not ${wanted}`);
    });
  });
});

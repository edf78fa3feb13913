/** Trainings and distillations on TensorFlow.js give the losses that ONNX Runtime gives. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { tfjsEngine } from '../../plugins/tfjs/src/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { numbersOf, type Tensor } from '../../src/graph/index.ts';
import { loggedSteps, run, tinyData, useScene } from '../distill/tiny-run.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { tinyRun } from '../train/tiny-training.ts';
import { fastest, skipOf } from './backends.ts';

/** Relative. Steps add up what differs in the last bits of float32. */
const TOLERANCE = 1e-4;

function assertSame(found: readonly number[], expected: readonly number[]): void {
  assert.equal(found.length, expected.length);
  expected.forEach((value, i) =>
    assert.ok(
      Math.abs((found[i] as number) - value) <= TOLERANCE * Math.abs(value),
      `${found.join()}, not ${expected.join()}`,
    ),
  );
}

describe(`training on the ${fastest} backend`, { skip: skipOf[fastest] }, () => {
  const scene = useScene(({ path }) => writeTinyClassifier(path('teacher')));
  let engine: Engine;
  before(async () => {
    engine = await tfjsEngine({ backend: fastest });
  });
  after(() => engine.close());

  it('dropout, clipping, accumulation and AdamW', async (t) => {
    const [mine, other] = [await tinyRun(t), await tinyRun(t)];
    const setup = { examples: 24, options: { accumulate: 2 } };
    await mine.start(engine, setup);
    await other.start(scene.engine, setup);
    const losses = ({ log }: typeof mine) => log.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
    assert.ok(losses(other).length >= 9);
    assertSame(losses(mine), losses(other));
    for (const [name, value] of other.bests.at(-1)!) {
      const found = numbersOf(mine.bests.at(-1)?.get(name) as Tensor);
      const worst = Math.max(...numbersOf(value).map((number, i) => Math.abs(number - found[i]!)));
      // The gradient of a key's bias is rounding noise, of which Adam makes steps of the learning rate.
      if (!name.endsWith('self.key.bias')) assert.ok(worst < 1e-3, `${name} differs by ${worst}`);
    }
  });

  for (const method of ['kd', 'pkd', 'tinybert', 'mixkd', 'pea-kd'])
    it(method, async () => {
      const [mine, other] = [scene.path(method), scene.path(`${method}-ort`)];
      const job = { teachers: [scene.path('teacher')], method, data: await tinyData(16, 8) };
      for (const [out, on] of [
        [mine, engine],
        [other, scene.engine],
      ] as const) {
        await run(on, { ...job, out });
        // What the teacher said on one engine is not for the other.
        await rm(process.env['KDX_CACHE'] as string, { recursive: true, force: true });
      }
      const losses = async (out: string) =>
        (await loggedSteps(out)).flatMap(({ loss }) => (loss === undefined ? [] : [loss as number]));
      assertSame(await losses(mine), await losses(other));
    });
});

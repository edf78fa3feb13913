/** How steps are computed by WebGPU, on a software adapter where there is no GPU: recomputation, and no float16. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { loadKoffi } from '../../src/engine/library.ts';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';
import { drive, objectiveOf, plainOptions, type Run } from './driven-step.ts';
import { tinyRun } from './tiny-training.ts';

// Before any library is loaded: shaders are compiled on this stack.
const koffi = await loadKoffi();
if (!(koffi instanceof Error)) koffi.config({ sync_stack_size: 8 * 2 ** 20 });
const skip = await useSoftwareVulkan();

describe('steps by webgpu', { skip }, () => {
  let engine: Engine;
  before(async () => {
    engine = await openEngine({ device: 'webgpu' });
  });
  after(() => engine.close());

  it('compute inner values again to nearly the same numbers', async () => {
    const runs = (recompute: boolean): Run[] => [1, 2].map(() => ({ options: { ...plainOptions, recompute } }));
    const [kept, again] = [
      await drive(engine, objectiveOf(), runs(false)),
      await drive(engine, objectiveOf(), runs(true)),
    ];
    kept.results.forEach((expected, i) => {
      for (const [name, value] of Object.entries(expected)) {
        const found = again.results[i]![name]!;
        assert.ok(Math.abs(found - value) <= 1e-5 * Math.abs(value), `${name} ${found} is not ${value}`);
      }
    });
  });

  it('say that an adapter has no float16', async (t) => {
    const run = await tinyRun(t);
    // A GPU that has it trains.
    await run.start(engine, { options: { epochs: 1, precision: 'float16' } }).then(
      ({ steps }) => assert.equal(steps, 4),
      (error: { code: string; suggestions: readonly string[] }) => {
        assert.equal(error.code, 'unsupported-precision', String(error));
        assert.ok(error.suggestions.includes('--precision float32'));
      },
    );
  });
});

/** Memory: runs and sessions leave nothing behind, and weights that need a file get one. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { openEngine } from '../../src/engine/index.ts';
import { withSource } from '../../src/engine/model-source.ts';
import { allocate, type Tensor } from '../../src/graph/index.ts';
import { readModel } from '../../src/onnx/index.ts';
import { model } from './graphs.ts';
import { backends } from '../support/backends.ts';

const size = 2 ** 18;
const megabyte: Tensor = { dtype: 'float32', dims: [size], data: allocate('float32', size).fill(1) };
const weights = model({
  inputs: [['x', 'float32', [size]]],
  outputs: [['y', 'float32', [size]]],
  initializers: { w: megabyte },
  nodes: [['y', 'Add', 'x w']],
});
const growth = async (work: () => Promise<void>): Promise<number> => {
  const before = process.memoryUsage.rss();
  await work();
  return (process.memoryUsage.rss() - before) / 2 ** 20;
};

for (const backend of backends) {
  test(`${backend}: 2000 runs and 100 sessions`, async () => {
    const engine = await openEngine({ backend });
    const session = await engine.createSession(weights);
    const x = await engine.store(megabyte);
    const runs = async (count: number) => {
      for (let i = 0; i < count; i++) await session.run({ feeds: { x }, fetch: [], assign: { y: x } });
    };
    const sessions = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const own = await engine.createSession(weights);
        await own.run({ feeds: { x }, fetch: [], assign: { y: x } });
        await own.release();
      }
    };
    await runs(200);
    await sessions(10);
    // The runs make 2000 MB of outputs, the sessions hold 200 MB of weights and outputs.
    const [byRuns, bySessions] = [await growth(() => runs(2000)), await growth(() => sessions(100))];
    assert.ok(byRuns < 100, `${byRuns.toFixed()} MB after 2000 runs`);
    assert.ok(bySessions < 100, `${bySessions.toFixed()} MB after 100 sessions`);
    await engine.close();
  });
}

test('large weights go through a file, which is removed', async () => {
  let path = '';
  const engine = await openEngine();
  const session = await engine.createSession(weights);
  await withSource(
    weights,
    async (source) => {
      path = source as string;
      assert.ok(existsSync(`${path}_data`));
      assert.deepEqual((await readModel(path)).graph.initializers.get('w'), megabyte);
      const fromFile = await engine.createSession(path);
      const request = { feeds: { x: megabyte }, fetch: ['y'] };
      assert.deepEqual(await fromFile.run(request), await session.run(request));
    },
    size,
  );
  assert.equal(existsSync(dirname(path)), false);
  await engine.close();
});

test('a file of weights is removed when loading fails', async () => {
  let folder = '';
  const failing = withSource(
    weights,
    (source) => {
      folder = dirname(source as string);
      return Promise.reject(new Error('no memory'));
    },
    size,
  );
  await assert.rejects(failing, /no memory/);
  assert.equal(existsSync(folder), false);
});

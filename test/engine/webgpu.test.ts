/** WebGPU as a device, on a software adapter where there is no GPU: the contract, what stays on the device, errors. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openEngine, type Variable } from '../../src/engine/index.ts';
import { numbersOf, type Tensor } from '../../src/graph/index.ts';
import { readModel } from '../../src/onnx/index.ts';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';
import { runChild } from './child.ts';
import { engineContract } from './contract.ts';
import { accumulate, f32, i64, int, model } from './graphs.ts';

const skip = await useSoftwareVulkan();
const backends = ['capi', 'binding'] as const;

const skips = {
  'float16 is raw bits': 'the software adapter has no shader-f16, and ONNX Runtime does not fall back at run time',
  'the event loop stays free during a run': 'a minute on a software adapter; the worker is the same for all devices',
};
const waits = {
  'closing ends a long run and what waits behind it':
    'minutes on a software adapter: the binding waits for the end of a run',
};

for (const backend of backends) {
  const open = () => openEngine({ device: 'webgpu', backend, threads: 2 });
  // ScatterElements adds in the order in which the threads arrive (docs/gpu.md).
  const spread = 1e-6;
  if (!skip) engineContract(`webgpu, ${backend}`, open, { ...skips, ...(backend === 'binding' && waits) }, spread);

  describe(`webgpu, ${backend}`, { skip }, () => {
    test('a session that would need the CPU is refused where that is asked for', async () => {
      const engine = await open();
      const float64 = model({
        inputs: [['x', 'float64', [2]]],
        outputs: [['y', 'float64', [2]]],
        nodes: [['y', 'Neg', 'x']],
      });
      await (await engine.createSession(float64)).release();
      await assert.rejects(engine.createSession(float64, { cpuFallback: false }), /assigned to the default CPU EP/);
      await engine.close();
    });

    test('variables are on the device: a run that reads and assigns them copies only its feed', async () => {
      const engine = await open();
      const folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
      const optimizedModelPath = join(folder, 'optimized.onnx');
      const session = await engine.createSession(accumulate, { cpuFallback: false, optimizedModelPath });
      const operations = (await readModel(optimizedModelPath)).graph.nodes.map((node) => node.opType);
      assert.deepEqual(operations, ['Add']);
      const w = await engine.store(f32([1, 2]));
      for (let i = 0; i < 3; i++) await session.run({ feeds: { w, x: f32([1, 10]) }, fetch: [], assign: { y: w } });
      assert.deepEqual(await engine.read([w]), [f32([4, 32])]);
      await engine.close();
      await rm(folder, { recursive: true });
    });

    test('what does not fit on the device is an error with a way out, and the engine goes on', async () => {
      const engine = await open();
      const session = await engine.createSession(
        model({
          inputs: [['x', 'float32', [1]]],
          outputs: [['y', 'float32', []]],
          // 24 GB, never allocated: more than any buffer of the adapter may have.
          initializers: { size: i64([6e9]) },
          nodes: [
            ['wide', 'Expand', 'x size'],
            ['double', 'Add', 'wide wide'],
            ['y', 'ReduceMax', 'double', { keepdims: int(0) }],
          ],
        }),
      );
      await assert.rejects(session.run({ feeds: { x: f32([1]) }, fetch: ['y'] }), (error: Error) => {
        const { code, suggestions, exitCode } = error as Error & Record<string, unknown>;
        assert.deepEqual([code, exitCode], ['device-memory', 1], error.message);
        assert.match(String(suggestions), /--batch.*--device cpu/);
        return true;
      });
      const sum = await engine.createSession(accumulate);
      const { y } = await sum.run({ feeds: { w: f32([1, 2]), x: f32([3, 4]) }, fetch: ['y'] });
      assert.deepEqual(y, f32([4, 6]));
      await engine.close();
    });

    test('a variable outlives the session that wrote it', async () => {
      const engine = await open();
      const w = await engine.store(f32([1, 2]));
      for (let i = 0; i < 3; i++) {
        const session = await engine.createSession(accumulate);
        await session.run({ feeds: { w, x: f32([1, 1]) }, fetch: [], assign: { y: w } });
        await session.release();
      }
      assert.deepEqual(await engine.read([w]), [f32([4, 5])]);
      await engine.close();
    });

    test('the process can exit during a run', async () => {
      const { code, stderr } = await runChild(`
        import { openEngine } from './src/engine/index.ts';
        import { matrixChain } from './test/engine/graphs.ts';
        const engine = await openEngine({ device: 'webgpu', backend: '${backend}' });
        const session = await engine.createSession(matrixChain(128, 20));
        const x = { dtype: 'float32', dims: [128, 128], data: new Float32Array(128 * 128) };
        for (let i = 0; i < 2; i++) session.run({ feeds: { x }, fetch: ['y'] });
        setTimeout(() => process.exit(3), 50);
      `);
      assert.equal(code, 3, stderr);
    });

    test('engines one after the other, and two at once', async () => {
      for (let i = 0; i < 3; i++) await (await open()).close();
      const [a, b] = await Promise.all([open(), open()]);
      const store = async (engine: typeof a, value: number): Promise<Variable> => engine.store(f32([value]));
      const [x, y] = [await store(a, 1), await store(b, 2)];
      await a.close();
      assert.deepEqual(numbersOf((await b.read([y]))[0] as Tensor), [2]);
      await assert.rejects(a.read([x]), /the engine is closed/);
      await b.close();
    });
  });
}

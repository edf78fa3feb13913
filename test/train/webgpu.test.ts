/** Training by WebGPU, on a software adapter where there is no GPU: the CPU's losses, and no copies but the batch's. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openCapiDriver } from '../../src/engine/capi-driver.ts';
import { copiersFor } from '../../src/engine/copy-model.ts';
import type { SessionSettings } from '../../src/engine/driver.ts';
import { openEngine, type OpenOptions } from '../../src/engine/index.ts';
import { loadKoffi, nativeLibrary } from '../../src/engine/library.ts';
import { libraryFolders } from '../../src/engine/library-folders.ts';
import { openOrtApi } from '../../src/engine/ort-api.ts';
import { findVulkan } from '../../src/engine/vulkan.ts';
import { elementCount, numbersOf, tensorOf, type ValueInfo } from '../../src/graph/index.ts';
import { encodeModel, readModel } from '../../src/onnx/index.ts';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';
import { tinyRun, tinyStep } from './tiny-training.ts';

// Before any library is loaded: shaders are compiled on this stack.
const koffi = await loadKoffi();
if (!(koffi instanceof Error)) koffi.config({ sync_stack_size: 8 * 2 ** 20 });
const skip = await useSoftwareVulkan();

const settings: SessionSettings = {
  name: 'step',
  inPlace: true,
  optimization: 'all',
  disabledOptimizers: [],
  memoryPattern: false,
  spinning: false,
  prepacking: true,
  threads: 1,
  cpuFallback: false,
  optimizedModelPath: undefined,
};

/** Losses and gradient norms of four steps with dropout. */
async function trained(t: TestContext, options: OpenOptions): Promise<number[]> {
  const engine = await openEngine(options);
  const run = await tinyRun(t);
  await run.start(engine, { options: { epochs: 1 } });
  await engine.close();
  return run.log.flatMap(({ loss, gradient_norm: norm }) => (loss === undefined ? [] : [loss, norm as number]));
}

describe('a training by webgpu', { skip }, () => {
  it('has the losses of the CPU', async (t) => {
    const [cpu, gpu] = [await trained(t, { device: 'cpu' }), await trained(t, { device: 'webgpu' })];
    assert.equal(cpu.length, 8);
    gpu.forEach((value, i) => {
      const expected = cpu[i] as number;
      assert.ok(Math.abs(value - expected) <= 1e-5 * Math.abs(expected), `${value} is not ${expected}`);
    });
  });

  it('moves nothing but the batch to the device, and nothing but what is fetched back', async () => {
    assert.ok(!(koffi instanceof Error));
    const vulkan = findVulkan(libraryFolders(), process.env, koffi);
    const preloaded = koffi.load(vulkan.loader!);
    const api = openOrtApi(koffi, nativeLibrary().path);
    /** Tensors of this process that ONNX Runtime is told of. */
    let hostTensors = 0;
    const get: typeof api.get = (name, ...args) => {
      if (name === 'CreateTensorWithDataAsOrtValue') hostTensors++;
      return api.get(name, ...args);
    };
    const driver = openCapiDriver({ ...api, get }, { kind: 'webgpu', preload: [], copiers: copiersFor('webgpu') });
    const { model } = tinyStep();
    const isState = ({ name }: ValueInfo) => /^(moment[12]\/|bert\.|classifier\.)/.test(name);
    const tensor = ({ dtype, shape }: ValueInfo, value = 0) =>
      tensorOf(dtype as 'float32', shape as number[], new Array<number>(elementCount(shape as number[])).fill(value));
    const state = model.graph.inputs.filter(isState);
    const batch = model.graph.inputs.filter((info) => !isState(info));
    const folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
    const optimizedModelPath = join(folder, 'optimized.onnx');
    // Without the CPU, so that no node can ask for a copy.
    await driver.createSession(0, encodeModel(model).bytes, { ...settings, optimizedModelPath });
    const nodes = (await readModel(optimizedModelPath)).graph.nodes.map((node) => node.opType);
    assert.deepEqual(
      nodes.filter((opType) => opType.startsWith('Memcpy')),
      [],
    );
    const ids = new Map(state.map(({ name }, i) => [name, i + 1] as const));
    await driver.put(
      [...ids.values()],
      state.map((info) => tensor(info, 0.1)),
    );
    const writes = model.graph.outputs.filter(({ name }) => name.startsWith('next/'));
    hostTensors = 0;
    const [loss] = await driver.run({
      session: 0,
      feeds: [
        ...[...ids].map(([name, id]) => [name, id] as const),
        ...batch.map((info) => [info.name, tensor(info, 1)] as const),
      ],
      fetch: ['loss'],
      assign: writes.map(({ name }) => [name, ids.get(name.slice('next/'.length))!] as const),
    });
    assert.ok(Number.isFinite(numbersOf(loss!)[0]));
    // The loss, a scalar, is brought back in memory of ONNX Runtime.
    assert.equal(hostTensors, batch.length);
    await driver.close();
    assert.ok(preloaded);
    await rm(folder, { recursive: true });
  });
});

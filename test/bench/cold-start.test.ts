/** Cold starts of a small model in real fresh processes. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { modelOf, tensorOf, type Graph } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { coldStarts, type ColdStartModel } from '../../plugins/bench/src/cold-start.ts';

let folder: string;
let model: ColdStartModel;

/** Gather of a table [4, 3] by int64 ids [n], plus a float. */
const graph: Graph = {
  name: 'gather',
  inputs: [{ name: 'ids', dtype: 'int64', shape: ['n'] }],
  outputs: [{ name: 'rows', dtype: 'float32', shape: ['n', 3] }],
  initializers: new Map([['table', tensorOf('float32', [4, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])]]),
  nodes: [{ name: 'g', opType: 'Gather', domain: '', inputs: ['table', 'ids'], outputs: ['rows'], attributes: {} }],
  values: new Map(),
};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx cold start é '));
  model = { name: 'gather', file: join(folder, 'model.onnx'), feeds: { ids: tensorOf('int64', [2], [3, 1]) } };
  await writeModel(model.file, modelOf(graph));
});
after(() => rm(folder, { recursive: true }));

test('every phase and the memory are measured, medians taken, all samples kept', async () => {
  const own = { ...model, sessionOptions: { intraOpNumThreads: 1 } };
  const results = await coldStarts([own, { ...own, name: 'twin' }], { processes: 2, seed: 1 });
  assert.deepEqual([...results.keys()], ['gather', 'twin']);
  const { totalMs, phasesMs, memoryBytes, samples } = results.get('gather')!;
  assert.equal(samples.length, 2);
  for (const [phase, ms] of Object.entries(phasesMs)) assert.ok(ms > 0 && ms < 60_000, `${phase} ${ms}`);
  const totals = samples.map(({ phasesMs: p }) => p.processStart + p.moduleLoad + p.sessionCreate + p.firstRun);
  assert.ok(Math.abs(totalMs - (totals[0]! + totals[1]!) / 2) < 1e-9);
  assert.ok(memoryBytes.baseline > 10e6, `${memoryBytes.baseline}`);
  for (const { memoryBytes: m } of samples) assert.ok(m.peak >= m.afterFirstRun && m.peak >= m.afterCreate);
});

test('a model that cannot be run is named with the reason', async () => {
  const broken = join(folder, 'broken.onnx');
  await writeFile(broken, 'not a model');
  const attempt = coldStarts([{ ...model, name: 'broken', file: broken }], { processes: 1, seed: 1 });
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof KdxError && error.code === 'cold-start-failed');
    assert.match(error.message, /could not run broken \(.*broken\.onnx\): .*(protobuf|model)/i);
    return true;
  });
});

test('a wrong input is named with the reason', async () => {
  const feeds = { ids: tensorOf('float32', [2], [3, 1]) };
  const attempt = coldStarts([{ ...model, feeds }], { processes: 1, seed: 1 });
  await assert.rejects(attempt, /could not run gather.*ids|Unexpected input data type/s);
  const float64 = { ids: tensorOf('float64', [1], [1]) };
  await assert.rejects(coldStarts([{ ...model, feeds: float64 }], { processes: 1, seed: 1 }), /type float64/);
});

test('an interruption kills the process at hand and keeps what is complete', async () => {
  const controller = new AbortController();
  let done = 0;
  const progress = {
    start() {},
    message() {},
    end() {},
    update(count: number) {
      done = count;
      setTimeout(() => controller.abort(), 20);
    },
  };
  const begin = performance.now();
  const results = await coldStarts([model], { processes: 100, seed: 1, signal: controller.signal, progress });
  assert.ok(performance.now() - begin < 20_000);
  assert.equal(results.get('gather')!.samples.length, done);
  assert.ok(done >= 1 && done < 100);
  assert.equal((await coldStarts([model], { seed: 1, signal: controller.signal })).size, 0);
});

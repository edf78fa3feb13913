/** Runs in the stopwatch's process, and what is said when they fail. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startStopwatch, type TimedModel } from '../../plugins/bench/src/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { modelOf, tensorOf } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import type { Opening } from '../../src/timing/index.ts';

let folder: string;
let file: string;

/** Rows of a table [4, 3] by int64 ids [n]. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx stopwatch é '));
  file = join(folder, 'model.onnx');
  const graph = {
    name: 'gather',
    inputs: [{ name: 'ids', dtype: 'int64' as const, shape: ['n'] }],
    outputs: [{ name: 'rows', dtype: 'float32' as const, shape: ['n', 3] }],
    initializers: new Map([['table', tensorOf('float32', [4, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])]]),
    nodes: [{ name: 'g', opType: 'Gather', domain: '', inputs: ['table', 'ids'], outputs: ['rows'], attributes: {} }],
    values: new Map(),
  };
  await writeModel(file, modelOf(graph));
});
after(() => rm(folder, { recursive: true }));

const feed = (...ids: number[]) => ({ ids: { dims: [ids.length], data: BigInt64Array.from(ids, BigInt) } });
const failed = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof KdxError && error.code === 'run-failed', String(error));
  assert.match(error.message, message);
  return true;
};

async function using(models: readonly TimedModel[], use: (opening: Opening) => Promise<void>): Promise<void> {
  const stopwatch = await startStopwatch(
    models.map((model) => ({ ...model, sessionOptions: { intraOpNumThreads: 1 } })),
  );
  try {
    await use(stopwatch);
  } finally {
    await stopwatch.close();
  }
}

test('a run gives its own milliseconds, less than the way there and back', async () => {
  const feeds = [feed(0, 1), feed(3)];
  await using(
    ['a', 'b'].map((name) => ({ name, file, feeds })),
    async ({ runs }) => {
      assert.equal(runs.length, 2);
      for (let round = 0; round < 4; round++)
        for (const run of runs) {
          const begin = performance.now();
          const ms = await run(round);
          assert.ok(typeof ms === 'number' && ms > 0 && ms < performance.now() - begin);
        }
    },
  );
});

test('a turn names its input, and turns come round again: the second of two is out of range', async () => {
  await using([{ name: 'gather', file, feeds: [feed(0), feed(9)] }], async ({ runs: [run] }) => {
    for (const turn of [0, 0, 2, 4]) await run!(turn);
    for (const turn of [1, 3])
      await assert.rejects(run!(turn), failed(/^gather cannot be run: .*(out of|bounds|range)/s));
    await run!(0);
  });
});

test('an abort stops the opening before the next model', async () => {
  const signal = AbortSignal.abort(new Error('stopped by the test'));
  await assert.rejects(startStopwatch([{ name: 'gather', file, feeds: [feed(0)] }], { signal }), /stopped by the test/);
});

test('a file that is no model is named with the reason', async () => {
  const broken = join(folder, 'broken.onnx');
  await writeFile(broken, 'not a model');
  const attempt = startStopwatch([{ name: 'broken', file: broken, feeds: [feed(0)] }]);
  await assert.rejects(attempt, failed(/^broken cannot be run: .*broken\.onnx/s));
});

test('when the process ends, the run at hand fails', async () => {
  const stopwatch = await startStopwatch([{ name: 'gather', file, feeds: [feed(0)] }]);
  await stopwatch.close();
  await assert.rejects(stopwatch.runs[0]!(0), failed(/its process ended/));
});

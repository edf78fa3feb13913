/** The loop of a runner's folder by a clock that is only advanced by runs; its hash, and its median. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';

interface Series {
  readonly firstInferenceMs: number;
  readonly runsPerSample: number;
  readonly samplesMs: readonly number[];
}

interface Loop {
  measure(
    subjects: readonly { run(round: number): Promise<unknown> }[],
    settings: object,
    surroundings: object,
  ): Promise<{ models: Series[]; controlMs: number[]; seconds: number; stopReason: string }>;
  clockGranularity(now: () => number): number;
  median(values: readonly number[]): number;
}

const scripts = new URL('../../plugins/bench/runner/', import.meta.url);
const { measure, clockGranularity, median } = (await import(new URL('measure.js', scripts).href)) as Loop;
const { openSubjects } = (await import(new URL('sessions.js', scripts).href)) as {
  openSubjects(...parts: unknown[]): Promise<{ run(round: number): Promise<unknown> }[]>;
};

class Tensor {
  readonly data: ArrayLike<unknown>;
  constructor(_type: string, data: ArrayLike<unknown>, _dims: readonly number[]) {
    this.data = data;
  }
}
const { sha256 } = (await import(new URL('sha256.js', scripts).href)) as { sha256(bytes: Uint8Array): string };

const settings = { seed: 1, seconds: 1, minRounds: 20, maxRounds: 1000, warmUpSeconds: 0.1, warmUpRuns: 10 };

interface Simulated {
  /** Milliseconds of a run by its number from 0. */
  readonly times: readonly ((run: number) => number)[];
  readonly settings?: Partial<typeof settings>;
  /** Of the clock that is read. */
  readonly granularityMs?: number;
  /** Total number of runs after which it is stopped. */
  readonly stopAfter?: number;
}

/** @returns the result, which subject ran with which round, in order, and the progress of the rounds */
async function simulate({ times, granularityMs = 1e-6, stopAfter = Infinity, ...more }: Simulated) {
  let clock = 0;
  const log: { subject: number; round: number }[] = [];
  const progress: number[] = [];
  const subjects = times.map((time, subject) => {
    let runs = 0;
    return {
      run: async (round: number) => {
        log.push({ subject, round });
        clock += time(runs++);
      },
    };
  });
  const result = await measure(
    subjects,
    { ...settings, ...more.settings },
    {
      now: () => Math.floor(clock / granularityMs) * granularityMs,
      granularityMs,
      turn: async () => undefined,
      isStopped: () => log.length >= stopAfter,
      onProgress: (stage: string, done: number, total: number) => stage === 'measure' && progress.push(done / total),
    },
  );
  return { result, log, progress };
}

test('the first run is apart, warm-up takes its time and its runs, and samples are exact', async () => {
  const { result, log } = await simulate({ times: [(run) => (run === 0 ? 50 : 4), () => 2] });
  const [teacher, student] = result.models;
  assert.equal(Math.round(teacher!.firstInferenceMs), 50);
  const near = (values: readonly number[], expected: number) =>
    values.every((value) => Math.abs(value - expected) < 1e-4);
  assert.ok(near(teacher!.samplesMs, 4) && near(student!.samplesMs, 2) && near(result.controlMs, 4));
  assert.deepEqual([teacher!.runsPerSample, student!.runsPerSample], [1, 1]);
  // 50 ms and 4 ms a run up to 100 ms; 2 ms a run up to 100 ms.
  const rounds = result.controlMs.length;
  const runsOf = (subject: number) => log.filter((entry) => entry.subject === subject).length;
  assert.deepEqual([runsOf(0) - 2 * rounds, runsOf(1) - rounds], [14, 50]);
  // A round takes 10 ms.
  assert.deepEqual([rounds, result.stopReason], [100, 'time budget used']);
});

test('rounds are in random order, which the seed decides, and every subject is in each of them', async () => {
  const orders = async (seed: number) => {
    const { log, result } = await simulate({ times: [() => 4, () => 2, () => 1], settings: { seed } });
    const rounds = result.controlMs.length;
    const measured = log.slice(-4 * rounds);
    return Array.from({ length: rounds }, (_, i) => {
      const round = measured.slice(4 * i, 4 * i + 4);
      assert.ok(round.every((entry) => entry.round === i));
      return round.map(({ subject }) => subject).join('');
    });
  };
  const [one, again, other] = [await orders(1), await orders(1), await orders(2)];
  assert.deepEqual(one, again);
  assert.notDeepEqual(one, other);
  assert.ok(one.every((order) => [...order].sort().join('') === '0012'));
  assert.equal(new Set(one).size, 12, 'all orders of four, two of them alike, occur');
});

test('on a coarse clock a sample is as many runs as 100 steps take, also when a run was held up', async () => {
  for (const granularityMs of [0.1, 1]) {
    const heldUp = (run: number) => (run === 2 ? 500 : 0.3);
    const { result } = await simulate({ times: [heldUp, () => 0.04], granularityMs, settings: { minRounds: 40 } });
    for (const [i, ms] of [0.3, 0.04].entries()) {
      const { runsPerSample, samplesMs } = result.models[i]!;
      assert.ok(runsPerSample * ms >= 99 * granularityMs, `${runsPerSample} runs of ${ms} ms`);
      assert.ok(runsPerSample * ms <= 210 * granularityMs, `${runsPerSample} runs of ${ms} ms`);
      assert.ok(Math.abs(median(samplesMs) / ms - 1) < 0.02, `${median(samplesMs)}`);
    }
  }
});

test('the least and the largest number of rounds, whatever the time', async () => {
  const few = await simulate({ times: [() => 500, () => 500] });
  assert.deepEqual([few.result.controlMs.length, few.result.stopReason], [20, 'time budget used']);
  const many = await simulate({ times: [() => 2, () => 2], settings: { maxRounds: 30, seconds: 100 } });
  assert.deepEqual([many.result.controlMs.length, many.result.stopReason], [30, 'round limit reached']);
  assert.ok(Math.abs(many.result.seconds - 0.18) < 1e-3);
});

test('progress goes from 0 to 1, also without a time', async () => {
  for (const seconds of [0, 1]) {
    const { progress } = await simulate({ times: [() => 5, () => 5], settings: { seconds } });
    assert.ok(progress.every((share, i) => share > 0 && share <= 1 && share >= (progress[i - 1] ?? 0)));
    assert.equal(progress.at(-1), 1);
  }
});

test('stopped: whole rounds are kept, and none when it comes in the warm-up', async () => {
  const times = [() => 10, () => 10];
  const { result, log } = await simulate({ times, stopAfter: 40 });
  const { models, controlMs, stopReason } = result;
  assert.deepEqual([log.length, stopReason], [40, 'interrupted']);
  // 10 runs of each warm up; 20 are left, three to a round.
  assert.deepEqual([controlMs.length, ...models.map(({ samplesMs }) => samplesMs.length)], [6, 6, 6]);
  const early = await simulate({ times, stopAfter: 3 });
  assert.deepEqual([early.result.controlMs, early.result.stopReason], [[], 'interrupted']);
});

test('inputs take turns run by run; those of natural lengths are the same for all models in a round', async () => {
  const read = async (length: number | 'natural') => {
    const plan = {
      cells: [{ scenario: { length } }],
      models: [{ reads: { input_ids: 'int64' } }, { reads: { input_ids: 'int32' } }],
    };
    const turns = [{ input_ids: 0 }, { input_ids: 1 }, { input_ids: 2 }];
    const tensors = [7, 8, 9].map((id) => ({ dims: [1, 1], data: [id] }));
    const log: unknown[][] = [];
    const create = async () => {
      const seen: unknown[] = [];
      log.push(seen);
      return { run: async ({ input_ids }: { input_ids: Tensor }) => seen.push(input_ids.data[0]) };
    };
    const subjects = await openSubjects({ Tensor }, plan, { tensors, cells: [[turns, turns]] }, 0, create);
    for (const [round, subject] of [
      [0, 0],
      [0, 1],
      [0, 1],
      [4, 1],
      [4, 0],
    ] as const)
      await subjects[subject]!.run(round);
    return log;
  };
  assert.deepEqual(await read(1), [
    [7n, 8n],
    [7, 8, 9],
  ]);
  assert.deepEqual(await read('natural'), [
    [7n, 8n],
    [7, 7, 8],
  ]);
});

test('the step of a clock is found', () => {
  let time = 0;
  assert.ok(Math.abs(clockGranularity(() => Math.floor((time += 0.013) / 0.1) * 0.1) - 0.1) < 1e-9);
  assert.ok(clockGranularity(() => performance.now()) < 1);
});

test('its SHA-256 is that of Node', () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 4097]) {
    const bytes = randomBytes(length);
    assert.equal(sha256(bytes), createHash('sha256').update(bytes).digest('hex'), `${length} bytes`);
  }
});

test('the median of an even and an odd number of values', () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 3, 2])], [2, 2.5]);
});

/** The loop of a runner's folder by a clock that is only advanced by runs; its hash, and its median. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';

interface Series {
  readonly firstInferenceMs: number;
  readonly runsPerSample: number;
  readonly samplesMs: readonly number[];
}

interface Subject {
  readonly lane: number;
  run(turn: number): Promise<unknown>;
}

interface Request {
  readonly number: number;
}

interface Loop {
  measure(
    models: number,
    settings: object,
    open: (request: Request) => Promise<unknown>,
    surroundings: object,
  ): Promise<{ models: Series[]; controlMs: number[]; openings: number[]; seconds: number; stopReason: string }>;
  measureOpening(
    subjects: readonly Subject[],
    openMs: number,
    settings: object,
    request: Request,
    surroundings: object,
  ): Promise<unknown>;
  openingOrder(models: number, seed: number, opening: number): number[];
  clockGranularity(now: () => number): number;
  median(values: readonly number[]): number;
}

const scripts = new URL('../../plugins/bench/runner/', import.meta.url);
const { measure, measureOpening, openingOrder, clockGranularity, median } = (await import(
  new URL('measure.js', scripts).href
)) as Loop;
const { openSubjects } = (await import(new URL('sessions.js', scripts).href)) as {
  openSubjects(...parts: unknown[]): Promise<Subject[]>;
};

class Tensor {
  readonly data: ArrayLike<unknown>;
  constructor(_type: string, data: ArrayLike<unknown>, _dims: readonly number[]) {
    this.data = data;
  }
}
const { sha256 } = (await import(new URL('sha256.js', scripts).href)) as { sha256(bytes: Uint8Array): string };

const settings = {
  ...{ seed: 1, seconds: 3, minOpenings: 6, roundsPerOpening: 20, minRounds: 5, maxRounds: 1000 },
  ...{ warmUpSeconds: 0.1, warmUpRuns: 10 },
};

interface Simulated {
  /** Milliseconds of a run by its number in an opening from 0. */
  readonly times: readonly ((run: number) => number)[];
  readonly settings?: Partial<typeof settings>;
  /** Of the clock that is read. */
  readonly granularityMs?: number;
  readonly openMs?: number;
  /** Total number of runs after which it is stopped. */
  readonly stopAfter?: number;
}

interface Ran {
  readonly opening: number;
  readonly lane: number;
  readonly turn: number;
}

/** @returns the result, what ran in which opening with which input, in order, and the progress */
async function simulate({ times, granularityMs = 1e-6, openMs = 0, stopAfter = Infinity, ...more }: Simulated) {
  let clock = 0;
  const log: Ran[] = [];
  const progress: number[] = [];
  const own = { ...settings, ...more.settings };
  const now = () => Math.floor(clock / granularityMs) * granularityMs;
  const isStopped = () => log.length >= stopAfter;
  const open = (request: Request) => {
    clock += openMs;
    const subjects = openingOrder(times.length, own.seed, request.number).map((lane): Subject => {
      let runs = 0;
      return {
        lane,
        run: async (turn) => {
          log.push({ opening: request.number, lane, turn });
          clock += times[lane % times.length]!(runs++);
        },
      };
    });
    const surroundings = { now, granularityMs, turn: async () => undefined, isStopped };
    return measureOpening(subjects, openMs, own, request, surroundings);
  };
  const onProgress = (share: number) => progress.push(share);
  const result = await measure(times.length, own, open, { now, isStopped, onProgress });
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
  const warmUpsOf = (opening: number) =>
    [0, 1, 2].map(
      (lane) =>
        log.filter((entry) => entry.opening === opening && entry.lane === lane).length - 2 * result.openings[opening]!,
    );
  // 50 ms and 4 ms a run up to 100 ms, 2 ms a run up to 100 ms, and the control; later up to 50 ms, in three runs or more.
  assert.deepEqual(
    [warmUpsOf(0), warmUpsOf(1)],
    [
      [14, 50, 14],
      [3, 25, 3],
    ],
  );
  // A round takes 20 ms: of 3 s, a sixth less 150 ms of warm-up is 17 of them.
  assert.deepEqual([result.openings, result.stopReason], [new Array<number>(7).fill(17), 'time budget used']);
});

test('openings are in random order, and their rounds, which the seed decides; samples are hot', async () => {
  const ordersOf = async (seed: number) => {
    const { log, result } = await simulate({ times: [() => 4, () => 2, () => 1], settings: { seed, seconds: 10 } });
    return result.openings.map((rounds, opening) => {
      const runs = log.filter((entry) => entry.opening === opening);
      const first = [...new Set(runs.map(({ lane }) => lane))].join('');
      const measured = runs.slice(-8 * rounds);
      const orders = Array.from({ length: rounds }, (_, i) => {
        const round = measured.slice(8 * i, 8 * i + 8);
        // The input of the next round comes first, untimed.
        assert.ok(round.every((entry, run) => entry.turn === 20 * opening + i + (run % 2 === 0 ? 1 : 0)));
        const samples = round.filter((_, run) => run % 2 === 1).map(({ lane }) => lane);
        assert.deepEqual(
          samples,
          round.filter((_, run) => run % 2 === 0).map(({ lane }) => lane),
        );
        return samples.join('');
      });
      return { first, orders };
    });
  };
  const [one, again, other] = [await ordersOf(1), await ordersOf(1), await ordersOf(2)];
  assert.deepEqual(one, again);
  assert.notDeepEqual(one, other);
  const rounds = one.flatMap(({ orders }) => orders);
  assert.ok([...rounds, ...one.map(({ first }) => first)].every((order) => [...order].sort().join('') === '0123'));
  assert.equal(new Set(rounds).size, 24, 'all orders occur');
  assert.ok(new Set(one.map(({ first }) => first)).size > 10);
});

test('on a coarse clock a sample is as many runs as 100 steps take, also when a run was held up', async () => {
  for (const granularityMs of [0.1, 1]) {
    const heldUp = (run: number) => (run === 2 ? 500 : 0.3);
    const { result } = await simulate({ times: [heldUp, () => 0.04], granularityMs });
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
  assert.deepEqual([few.result.openings, few.result.stopReason], [[5, 5, 5, 5, 5, 5], 'time budget used']);
  const slow = await simulate({ times: [() => 2, () => 2], openMs: 200 });
  assert.equal(slow.result.openings[0], 12);
  const limited = async (maxRounds: number, minOpenings: number) =>
    (await simulate({ times: [() => 2, () => 2], settings: { maxRounds, minOpenings, seconds: 100 } })).result;
  const many = await limited(30, 6);
  assert.deepEqual([many.openings, many.stopReason], [[5, 5, 5, 5, 5, 5], 'round limit reached']);
  // Openings go before rounds.
  assert.deepEqual((await limited(30, 8)).openings, new Array<number>(8).fill(5));
  assert.deepEqual((await limited(50, 3)).openings, [16, 16, 16, 5]);
});

test('on a coarse clock, later warm-ups are as short as on a fine one', async () => {
  const secondsOf = async (granularityMs: number) =>
    (await simulate({ times: [() => 4, () => 4], granularityMs, settings: { seconds: 0 } })).result.seconds;
  // Six openings of five rounds of 2 x 3 x 4 ms, or of 25 runs a sample.
  const [fine, coarse] = [await secondsOf(1e-6), await secondsOf(1)];
  assert.ok(Math.abs(fine - 6 * 5 * 0.024 - 5 * 3 * 0.052) < 0.01, `${fine}`);
  assert.ok(coarse < 6 * 5 * 3 * (26 * 0.004) + 5 * 3 * 0.07, `${coarse}`);
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
  // 30 runs warm up and five rounds of six follow; then 15 runs again, and two rounds and a half.
  const { result, log } = await simulate({ times, stopAfter: 60 + 15 + 14 });
  const { models, controlMs, openings, stopReason } = result;
  assert.deepEqual([log.length, stopReason, openings], [89, 'interrupted', [5, 2]]);
  assert.deepEqual([controlMs.length, ...models.map(({ samplesMs }) => samplesMs.length)], [7, 7, 7]);
  const first = await simulate({ times: [() => 0.3, () => 0.1], stopAfter: 1900 });
  assert.equal(first.result.openings.length, 1);
  const runs = first.result.models.map(({ runsPerSample }) => runsPerSample);
  assert.deepEqual(
    runs,
    [4, 11].map((count, i) => Math.max(count, runs[i]!)),
    'what the first opening settled is kept',
  );
  const early = await simulate({ times, stopAfter: 3 });
  assert.deepEqual([early.result.controlMs, early.result.stopReason], [[], 'interrupted']);
});

test('a turn names the input, each model has its own, and the teacher opens twice', async () => {
  const plan = { cells: [{}], models: [{ reads: { input_ids: 'int64' } }, { reads: { input_ids: 'int32' } }] };
  const tensors = [7, 8, 9, 17, 18].map((id) => ({ dims: [1, 1], data: [id] }));
  const turns = (...places: number[]) => places.map((input_ids) => ({ input_ids }));
  const inputs = { tensors, cells: [[turns(0, 1, 2), turns(3, 4)]] };
  const log: unknown[][] = [];
  const create = async () => {
    const seen: unknown[] = [];
    log.push(seen);
    return { run: async ({ input_ids }: { input_ids: Tensor }) => seen.push(input_ids.data[0]) };
  };
  const subjects = await openSubjects({ Tensor }, plan, inputs, 0, [2, 1, 0], create);
  assert.deepEqual(
    subjects.map(({ lane }) => lane),
    [2, 1, 0],
  );
  for (const subject of subjects) for (const turn of [0, 0, 1, 5]) await subject.run(turn);
  assert.deepEqual(log, [
    [7n, 7n, 8n, 9n],
    [17, 17, 18, 18],
    [7n, 7n, 8n, 9n],
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

/** The measuring loop on a fake clock: openings, warm-up, interleaving, pairing, stopping, interruption. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from 'kdx/progress';
import { measure, type MeasurementOptions } from '../../src/timing/measurement.ts';
import { gaussian, Simulation } from './simulation.ts';

const quick = { warmUpSeconds: 0, warmUpRuns: 1, budgetSeconds: 10, seed: 1 };

type Durations = Parameters<Simulation['opener']>[0];

/** The first one is the reference. */
function measureOn(machine: Simulation, durations: Durations, options: Partial<MeasurementOptions> = {}) {
  const names = Object.keys(durations);
  const open = machine.opener(durations);
  return measure({ ...quick, names, reference: names[0]!, open, now: machine.now, ...options });
}

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual / expected - 1) < 1e-9, `${actual}, expected ${expected}`);

test('constant times give the exact ratio, and the control exactly 1', async () => {
  const machine = new Simulation();
  const result = await measureOn(machine, { slow: () => 30, fast: () => 6 }, { budgetSeconds: 20 });
  const [slow, fast] = result.subjects;
  assert.equal(slow!.speedup, null);
  near(fast!.speedup!.ratio, 5);
  assert.equal(slow!.latencyMs.p50, 30);
  assert.equal(fast!.latencyMs.p90, 6);
  assert.deepEqual(result.control.speedup, { ratio: 1, ci95: [1, 1] });
  assert.equal(result.control.valid, true);
  assert.equal(result.stopReason, 'target half-width reached');
  assert.deepEqual([result.rounds, result.openings], [120, [20, 20, 20, 20, 20, 20]]);
  assert.equal(result.partial, false);
  // Each sample follows an untimed run; the first warm-up is not counted.
  near(result.seconds, (6 * 20 * 2 * (30 + 30 + 6) + 5 * (30 + 30 + 6)) / 1000);
});

test('every opening opens all subjects, the reference twice, in an order that changes, and closes them', async () => {
  const machine = new Simulation();
  const result = await measureOn(
    machine,
    { a: () => 5, b: () => 5, c: () => 5 },
    { targetRounds: 400, budgetSeconds: 100 },
  );
  assert.equal(machine.opened.length, 20);
  assert.equal(result.openings.length, 20);
  assert.ok(machine.opened.every((names) => [...names].sort().join('') === 'aabc'));
  assert.ok(new Set(machine.opened.map((names) => names.join(''))).size > 6);
  assert.equal(machine.isOpen, false);
});

test('each round samples every subject once and the reference twice, hot, in an order that changes', async () => {
  const machine = new Simulation();
  const result = await measureOn(machine, { a: () => 5, b: () => 5, c: () => 5 });
  const perOpening = machine.log.length / result.openings.length;
  const orders = new Set<string>();
  for (let opening = 0; opening < result.openings.length; opening++) {
    const runs = machine.log.slice(opening * perOpening, (opening + 1) * perOpening).slice(4);
    for (let i = 0; i < runs.length; i += 8) {
      const round = runs.slice(i, i + 8);
      const samples = round.filter((_, run) => run % 2 === 1);
      assert.deepEqual(
        samples,
        round.filter((_, run) => run % 2 === 0),
        'each follows a run of its own',
      );
      assert.deepEqual([...samples].sort(), ['a', 'a', 'b', 'c']);
      orders.add(samples.join(''));
    }
  }
  assert.equal(orders.size, 12);
  for (const { samplesMs } of result.subjects) assert.equal(samplesMs.length, result.rounds);
  assert.equal(result.control.samplesMs.length, result.rounds);
});

test('every input is timed as often as the others, and each subject has the same ones in a round', async () => {
  const machine = new Simulation();
  const timed: Record<string, Map<number, number>> = {};
  const inputs = 8;
  const open = async (names: readonly string[]) => {
    const { runs, close } = await machine.opener({ a: () => 4, b: () => 0.2 })(names);
    const seen = names.map((name) => (timed[name] ??= new Map<number, number>()));
    const costs = runs.map((run, i) => (turn: number) => {
      const input = turn % inputs;
      seen[i]!.set(input, (seen[i]!.get(input) ?? 0) + 1);
      // Its own time tells which input it read.
      return run(turn).then(() => (names[i] === 'a' ? 4 : 0.2) * (1 + input));
    });
    return { runs: costs, close };
  };
  const { subjects, rounds } = await measureOn(machine, { a: () => 4, b: () => 0.2 }, { open, targetRounds: 160 });
  assert.equal(rounds, 160);
  for (const { name, samplesMs } of subjects) {
    const cost = name === 'a' ? 4 : 0.2;
    samplesMs.forEach((ms, round) => near(ms, cost * (1 + (round % inputs))));
  }
  assert.deepEqual(
    subjects[1]!.speedup!.ci95!.map((end) => Math.round(end * 1e6) / 1e6),
    [20, 20],
  );
  assert.equal(timed['b']!.size, inputs);
});

test('the same seed gives the same order, another seed another', async () => {
  const logOf = async (seed: number): Promise<string> => {
    const machine = new Simulation();
    await measureOn(machine, { a: () => 5, b: () => 5, c: () => 5 }, { seed });
    return machine.log.join('');
  };
  assert.equal(await logOf(1), await logOf(1));
  assert.notEqual(await logOf(1), await logOf(2));
});

test('ratios are paired by round: a common slowdown of some rounds does not show', async () => {
  const machine = new Simulation();
  const runsOfRound = 6;
  // In every third round, everything is 10 times slower; each opening warms up by three runs and makes 20 rounds.
  const slow = () => {
    const run = (machine.log.length - 1) % (3 + 20 * runsOfRound);
    return run >= 3 && Math.floor((run - 3) / runsOfRound) % 3 === 0 ? 10 : 1;
  };
  const result = await measureOn(machine, { a: () => 20 * slow(), b: () => 10 * slow() });
  assert.equal(new Set(result.subjects[0]!.samplesMs).size, 2);
  near(result.subjects[1]!.speedup!.ratio, 2);
  for (const end of result.subjects[1]!.speedup!.ci95!) near(end, 2);
});

test('warm-up lasts for both its time and its runs, later ones are short; first runs are kept apart', async () => {
  const machine = new Simulation();
  const durations = { a: [500, 100], b: [90, 10] } as const;
  const open = (names: readonly string[]) => {
    machine.log.push('|');
    const runs = names.map((name) => {
      let count = 0;
      return machine.run(name, () => durations[name as 'a' | 'b'][Math.min(count++, 1)]!);
    });
    return Promise.resolve({ runs, close: () => undefined });
  };
  const names = Object.keys(durations);
  const options = { ...quick, warmUpSeconds: 1, warmUpRuns: 10, now: machine.now };
  const result = await measure({ ...options, names, reference: 'a', open });
  const [, first, second] = machine.log.join('').split('|');
  // The first: 10 runs of a, and of b as many as take 1 s. Later: 3 runs.
  const warmUps = [first!, second!].map((log, i) => log.slice(0, log.length - 6 * result.openings[i]!));
  assert.deepEqual(
    warmUps.map((log) => [
      [...log].filter((name) => name === 'a').length,
      [...log].filter((name) => name === 'b').length,
    ]),
    [
      [20, 92],
      [6, 3],
    ],
  );
  assert.deepEqual(
    result.subjects.map(({ firstInferenceMs }) => firstInferenceMs),
    [500, 90],
  );
  assert.deepEqual(new Set(result.subjects.flatMap(({ samplesMs }) => samplesMs)), new Set([100, 10]));
});

test('runs below a millisecond are batched, and reported per run', async () => {
  const machine = new Simulation();
  const result = await measureOn(machine, { slow: () => 4, fast: () => 0.125 }, { warmUpRuns: 3 });
  assert.deepEqual(
    result.subjects.map(({ runsPerSample }) => runsPerSample),
    [1, 8],
  );
  assert.ok(result.subjects[1]!.samplesMs.every((sample) => Math.abs(sample - 0.125) < 1e-9));
  const runs = machine.log.filter((name) => name === 'fast').length;
  assert.equal(runs, 3 * result.openings.length + 9 * result.rounds);
  near(result.subjects[1]!.speedup!.ratio, 32);
});

test('noise is measured until the budget is used, calm only until the target is reached', async () => {
  const run = async (spread: number) => {
    const machine = new Simulation();
    const normal = gaussian(4);
    const noisy = (ms: number) => () => ms * Math.exp(spread * normal());
    return measureOn(machine, { a: noisy(10), b: noisy(20) }, { budgetSeconds: 30 });
  };
  const [calm, middling, wild] = [await run(0.01), await run(0.06), await run(0.5)];
  assert.equal(calm.stopReason, 'target half-width reached');
  assert.equal(calm.openings.length, 6);
  assert.equal(middling.stopReason, 'target half-width reached');
  assert.ok(middling.openings.length > 6, `${middling.openings.length}`);
  assert.equal(wild.stopReason, 'time budget used');
  assert.ok(wild.seconds >= 30 && wild.seconds < 32.5, `${wild.seconds}`);
});

test('slow subjects make fewer rounds in an opening, and the least number of them whatever the budget', async () => {
  const roundsOf = async (ms: number, openMs: number) => {
    const machine = new Simulation();
    const open = machine.opener({ a: () => ms }, () => 1, openMs);
    return (await measureOn(machine, { a: () => ms }, { open })).openings;
  };
  // 10 s for 6 openings; a round is a run and a sample of the subject and of the control, which warm up by three runs each.
  assert.deepEqual(await roundsOf(1, 0), [20, 20, 20, 20, 20, 20]);
  assert.deepEqual(await roundsOf(30, 0), [12, 12, 12, 12, 12, 12]);
  assert.deepEqual(await roundsOf(30, 300), [9, 9, 9, 9, 9, 9]);
  assert.deepEqual(await roundsOf(4000, 500), [5, 5, 5, 5, 5, 5]);
});

test('a machine on which the same file differs from itself makes the run invalid', async () => {
  const machine = new Simulation();
  const controls = await placesOfControl();
  // The control has the worse memory in every opening, each of which opens two.
  let opened = 0;
  const placement = () => {
    const [opening, place] = [Math.floor(opened / 2), opened % 2];
    opened++;
    return place === controls[opening] ? 1.2 : 1;
  };
  const { control } = await measureOn(machine, { a: () => 10 }, { open: machine.opener({ a: () => 10 }, placement) });
  assert.equal(control.valid, false);
  near(control.speedup.ratio, 10 / 12);
});

/** At which place each opening has the control: seen from its samples when each place takes its own time. */
async function placesOfControl(): Promise<number[]> {
  const machine = new Simulation();
  let place = 0;
  const { control } = await measureOn(
    machine,
    { a: () => 10 },
    { open: machine.opener({ a: () => 10 }, () => 1 + (place++ % 2)), targetHalfWidth: Infinity },
  );
  return Array.from({ length: 6 }, (_, i) => control.samplesMs[20 * i]! / 10 - 1);
}

/** Aborts in the run with this number. */
function stopping(machine: Simulation, run: number, reason?: Error) {
  const controller = new AbortController();
  const duration = () => {
    if (machine.log.length === run) controller.abort(reason);
    return 5;
  };
  return { duration, signal: controller.signal };
}

test('an interruption keeps the complete rounds, with equal samples for all, and says that it is partial', async () => {
  const machine = new Simulation();
  // Each opening: three runs of warm-up and 20 rounds of six; then seven rounds of the fourth and one run.
  const { duration, signal } = stopping(machine, 3 * 123 + 3 + 7 * 6 + 1);
  const result = await measureOn(machine, { a: duration, b: duration }, { signal });
  assert.equal(result.partial, true);
  assert.equal(result.stopReason, 'interrupted');
  assert.deepEqual([result.rounds, result.openings], [67, [20, 20, 20, 7]]);
  for (const { samplesMs } of [...result.subjects, result.control]) assert.equal(samplesMs.length, 67);
  assert.deepEqual(result.control.speedup.ci95, [1, 1]);
  assert.equal(machine.isOpen, false);
});

test('an interruption while it is opened again keeps what there is', async () => {
  const machine = new Simulation();
  const controller = new AbortController();
  const opener = machine.opener({ a: () => 5 });
  const open = (names: readonly string[]) => {
    if (machine.opened.length < 4) return opener(names);
    controller.abort();
    return Promise.reject(new Error('the process was stopped as well'));
  };
  const result = await measureOn(machine, { a: () => 5 }, { open, signal: controller.signal });
  assert.deepEqual([result.openings, result.stopReason], [[20, 20, 20, 20], 'interrupted']);
});

test('a partial result of too few openings has no interval and therefore claims nothing', async () => {
  const machine = new Simulation();
  const { duration, signal } = stopping(machine, 2 * 123);
  const result = await measureOn(machine, { a: duration, b: duration }, { signal });
  assert.deepEqual(result.openings, [20, 20]);
  assert.equal(result.subjects[1]!.speedup!.ci95, null);
  assert.equal(result.subjects[1]!.latencyMs.ci95, null);
});

test('an interruption before the first complete round throws its reason', async () => {
  for (const run of [1, 5]) {
    const machine = new Simulation();
    const { duration, signal } = stopping(machine, run, new Error('stopped by the test'));
    await assert.rejects(measureOn(machine, { a: duration, b: duration }, { signal }), /stopped by the test/);
    assert.equal(machine.isOpen, false);
  }
});

test('signals and timers get their turn while runs never leave the microtask queue', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('stopped by the test')), 20);
  const open = () => Promise.resolve({ runs: [0, 1].map(() => () => Promise.resolve()), close: () => undefined });
  const options = { seed: 1, warmUpSeconds: 30, signal: controller.signal };
  await assert.rejects(measure({ ...options, names: ['a'], reference: 'a', open }), /stopped by the test/);
});

test('an error of opening or of a run ends the measurement as it is, with nothing left open', async () => {
  const machine = new Simulation();
  const failing = () => {
    throw new Error('no memory');
  };
  await assert.rejects(measureOn(machine, { a: failing }), /no memory/);
  assert.equal(machine.isOpen, false);
  await assert.rejects(
    measureOn(machine, { a: () => 1 }, { open: () => Promise.reject(new Error('no file')) }),
    /no file/,
  );
});

test('wrong names are our own fault', async () => {
  const of = (names: readonly string[], reference: string, more: Partial<MeasurementOptions> = {}) =>
    measureOn(new Simulation(), { a: () => 5 }, { names, reference, ...more });
  await assert.rejects(of(['a'], 'b'), /internal: no subject is named b/);
  await assert.rejects(of(['a', 'a'], 'a'), /internal: two subjects/);
  await assert.rejects(of(['a'], 'a', { minOpenings: 2 }), /internal: minOpenings 2/);
});

test('progress tells stages, rounds and the share of the budget', async () => {
  const machine = new Simulation();
  const heard: string[] = [];
  const progress: Progress = {
    start: (label, total) => heard.push(`start ${label} ${total}`),
    update: (done, fields) => heard.push(`${done.toFixed(2)} ${JSON.stringify(fields ?? {})}`),
    message: (line) => heard.push(line),
    end: () => heard.push('end'),
  };
  await measureOn(machine, { a: () => 100 }, { progress });
  assert.deepEqual(heard.slice(0, 4), ['start warm up 2', '1.00 {}', '2.00 {}', 'end']);
  assert.deepEqual(heard.slice(4, 6), ['start measure (seconds) 10', '0.00 {"rounds":1}']);
  assert.deepEqual(heard.slice(-3), ['10.00 {"rounds":30}', '10.00 {"rounds":30}', 'end']);
});

test('the target is not looked at before its own number of rounds', async () => {
  const run = (options: Partial<MeasurementOptions>) =>
    measureOn(new Simulation(), { a: () => 10, b: () => 5 }, { budgetSeconds: 20, targetRounds: 200, ...options });
  const whole = await run({});
  assert.deepEqual([whole.rounds, whole.stopReason], [200, 'target half-width reached']);
  const short = await run({ budgetSeconds: 7 });
  assert.deepEqual([short.rounds, short.stopReason], [140, 'time budget used']);
});

test('a subject that knows its own time is believed', async () => {
  const machine = new Simulation();
  const open = async (names: readonly string[]) => {
    const { runs, close } = await machine.opener({ a: () => 100, b: () => 100 })(names);
    return { close, runs: runs.map((run, i) => (names[i] === 'a' ? run : () => run(0).then(() => 25))) };
  };
  const { subjects } = await measureOn(machine, { a: () => 100, b: () => 100 }, { open });
  assert.deepEqual(
    subjects.map(({ firstInferenceMs, latencyMs, speedup }) => [firstInferenceMs, latencyMs.p50, speedup?.ratio]),
    [
      [100, 100, undefined],
      [25, 25, 4],
    ],
  );
});

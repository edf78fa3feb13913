/** The measuring loop on a fake clock: warm-up, interleaving, pairing, stopping, interruption. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from 'kdx/progress';
import { measure } from '../../src/timing/measurement.ts';
import { gaussian, Simulation } from './simulation.ts';

const quick = { warmUpSeconds: 0, warmUpRuns: 1, budgetSeconds: 10, seed: 1 };

test('constant times give the exact ratio, and the control exactly 1', async () => {
  const machine = new Simulation();
  const subjects = [machine.subject('slow', () => 30), machine.subject('fast', () => 6)];
  const result = await measure({ ...quick, subjects, reference: 'slow', now: machine.now });
  const [slow, fast] = result.subjects;
  assert.equal(slow!.speedup, null);
  assert.ok(Math.abs(fast!.speedup!.ratio - 5) < 1e-12);
  assert.equal(slow!.latencyMs.p50, 30);
  assert.equal(fast!.latencyMs.p90, 6);
  assert.deepEqual(result.control.speedup, { ratio: 1, ci95: [1, 1] });
  assert.equal(result.control.valid, true);
  assert.equal(result.stopReason, 'target half-width reached');
  assert.equal(result.rounds, 20);
  assert.equal(result.partial, false);
  assert.ok(Math.abs(result.seconds - (20 * (30 + 30 + 6)) / 1000) < 1e-9);
});

test('each round runs every subject once and the reference twice, in an order that changes', async () => {
  const machine = new Simulation();
  const names = ['a', 'b', 'c'];
  const subjects = names.map((name) => machine.subject(name, () => 5));
  const result = await measure({ ...quick, subjects, reference: 'a', now: machine.now });
  const rounds = machine.log.slice(names.length);
  assert.equal(rounds.length, 4 * result.rounds);
  const orders = new Set<string>();
  for (let i = 0; i < rounds.length; i += 4) {
    const round = rounds.slice(i, i + 4);
    assert.deepEqual([...round].sort(), ['a', 'a', 'b', 'c']);
    orders.add(round.join(''));
  }
  assert.ok(orders.size > 6, `${orders.size} of 12 orders seen in 20 rounds`);
  for (const { samplesMs } of result.subjects) assert.equal(samplesMs.length, result.rounds);
  assert.equal(result.control.samplesMs.length, result.rounds);
});

test('the same seed gives the same order, another seed another', async () => {
  const logOf = async (seed: number): Promise<string> => {
    const machine = new Simulation();
    const subjects = ['a', 'b', 'c'].map((name) => machine.subject(name, () => 5));
    await measure({ ...quick, seed, subjects, reference: 'a', now: machine.now });
    return machine.log.join('');
  };
  assert.equal(await logOf(1), await logOf(1));
  assert.notEqual(await logOf(1), await logOf(2));
});

test('ratios are paired by round: a common slowdown of some rounds does not show', async () => {
  const machine = new Simulation();
  let runs = 0;
  // Every third round (of three runs each) is 10 times slower for everybody.
  const slowRound = (): number => (Math.floor((runs++ - 2) / 3) % 3 === 0 ? 10 : 1);
  const subjects = [machine.subject('a', () => 20 * slowRound()), machine.subject('b', () => 10 * slowRound())];
  const result = await measure({ ...quick, subjects, reference: 'a', now: machine.now });
  assert.ok(new Set(result.subjects[0]!.samplesMs).size > 1);
  assert.ok(Math.abs(result.subjects[1]!.speedup!.ratio - 2) < 1e-9);
  assert.ok(result.subjects[1]!.speedup!.ci95!.every((end) => Math.abs(end - 2) < 1e-9));
});

test('warm-up lasts for both its time and its runs; the first run is kept apart', async () => {
  const machine = new Simulation();
  const counts: Record<string, number> = {};
  const withColdStart = (name: string, cold: number, warm: number) =>
    machine.subject(name, () => ((counts[name] = (counts[name] ?? 0) + 1) === 1 ? cold : warm));
  const subjects = [withColdStart('a', 500, 100), withColdStart('b', 90, 10)];
  const options = { seed: 1, warmUpSeconds: 1, warmUpRuns: 10, now: machine.now };
  const result = await measure({ ...options, subjects, reference: 'a' });
  // a: 10 runs take 1.4 s. b: 90 + 91 x 10 ms is the first to reach 1 s.
  const log = machine.log.join('').replace(/^(a+)(b+).*/, '$1 $2');
  assert.equal(log.split(' ')[0]!.length, 10);
  assert.ok(log.split(' ')[1]!.length >= 92);
  assert.deepEqual(
    result.subjects.map(({ firstInferenceMs }) => firstInferenceMs),
    [500, 90],
  );
  assert.deepEqual(new Set(result.subjects.flatMap(({ samplesMs }) => samplesMs)), new Set([100, 10]));
});

test('runs below a millisecond are batched, and reported per run', async () => {
  const machine = new Simulation();
  const subjects = [machine.subject('slow', () => 4), machine.subject('fast', () => 0.125)];
  const result = await measure({ ...quick, warmUpRuns: 5, subjects, reference: 'slow', now: machine.now });
  assert.deepEqual(
    result.subjects.map(({ runsPerSample }) => runsPerSample),
    [1, 8],
  );
  assert.ok(result.subjects[1]!.samplesMs.every((sample) => Math.abs(sample - 0.125) < 1e-9));
  assert.equal(machine.log.filter((name) => name === 'fast').length, 5 + 8 * result.rounds);
  assert.ok(Math.abs(result.subjects[1]!.speedup!.ratio - 32) < 1e-6);
});

test('noise is measured until the budget is used, calm only until the target is reached', async () => {
  const run = async (spread: number) => {
    const machine = new Simulation();
    const normal = gaussian(4);
    const noisy = (ms: number) => () => ms * Math.exp(spread * normal());
    const subjects = [machine.subject('a', noisy(10)), machine.subject('b', noisy(20))];
    return measure({ ...quick, subjects, reference: 'a', now: machine.now });
  };
  const [calm, middling, wild] = [await run(0.01), await run(0.06), await run(0.5)];
  assert.equal(calm.stopReason, 'target half-width reached');
  assert.equal(calm.rounds, 20);
  assert.equal(middling.stopReason, 'target half-width reached');
  assert.ok(middling.rounds > 40, `${middling.rounds}`);
  assert.equal(wild.stopReason, 'time budget used');
  assert.ok(wild.seconds >= 10 && wild.seconds < 10.5, `${wild.seconds}`);
});

test('the least number of rounds is made even when the budget is too small', async () => {
  const machine = new Simulation();
  const normal = gaussian(4);
  const subjects = [machine.subject('a', () => 1000 * Math.exp(0.3 * normal()))];
  const result = await measure({
    ...quick,
    budgetSeconds: 1,
    minRounds: 8,
    subjects,
    reference: 'a',
    now: machine.now,
  });
  assert.equal(result.rounds, 8);
  assert.equal(result.stopReason, 'time budget used');
});

test('a machine on which the same file differs from itself makes the run invalid', async () => {
  const controlTurns = await turnsOfControl();
  const machine = new Simulation();
  let turn = -1;
  // Turn 0 is the first round's first run; the warm-up is turn -1.
  const subject = machine.subject('a', () => (controlTurns.has(turn++) ? 12 : 10));
  const { control } = await measure({ ...quick, subjects: [subject], reference: 'a', now: machine.now });
  assert.equal(control.valid, false);
  assert.ok(Math.abs(control.speedup.ratio - 10 / 12) < 1e-9);
});

/** Which turns the control gets under `quick`'s seed: seen from its samples when every run takes another time. */
async function turnsOfControl(): Promise<Set<number>> {
  const machine = new Simulation();
  let turn = -1;
  const subject = machine.subject('a', () => 1000 + turn++);
  const { control } = await measure({ ...quick, subjects: [subject], reference: 'a', now: machine.now });
  return new Set(control.samplesMs.map((sample) => Math.round(sample) - 1000));
}

test('an interruption keeps the complete rounds, with equal samples for all, and says that it is partial', async () => {
  const machine = new Simulation();
  const controller = new AbortController();
  const stopAfter = (run: number) => () => {
    if (machine.log.length === run) controller.abort();
    return 5;
  };
  // Two runs of warm-up, seven rounds of three, and one run of the eighth.
  const subjects = [machine.subject('a', stopAfter(24)), machine.subject('b', stopAfter(24))];
  const options = { ...quick, signal: controller.signal, now: machine.now };
  const result = await measure({ ...options, subjects, reference: 'a' });
  assert.equal(machine.log.length, 24);
  assert.equal(result.partial, true);
  assert.equal(result.stopReason, 'interrupted');
  assert.equal(result.rounds, 7);
  for (const { samplesMs } of [...result.subjects, result.control]) assert.equal(samplesMs.length, 7);
  assert.deepEqual(result.control.speedup.ci95, [1, 1]);
});

test('a partial result of too few rounds has no interval and therefore claims nothing', async () => {
  const machine = new Simulation();
  const controller = new AbortController();
  const duration = (ms: number) => () => {
    if (machine.log.length === 12) controller.abort();
    return ms;
  };
  const subjects = [machine.subject('a', duration(5)), machine.subject('b', duration(1))];
  const result = await measure({ ...quick, signal: controller.signal, subjects, reference: 'a', now: machine.now });
  assert.equal(result.rounds, 3);
  assert.equal(result.subjects[1]!.speedup!.ci95, null);
  assert.equal(result.subjects[1]!.latencyMs.ci95, null);
});

test('an interruption before the first complete round throws its reason', async () => {
  for (const stopAt of [1, 3]) {
    const machine = new Simulation();
    const controller = new AbortController();
    const duration = (): number => {
      if (machine.log.length === stopAt) controller.abort(new Error('stopped by the test'));
      return 5;
    };
    const subjects = [machine.subject('a', duration), machine.subject('b', duration)];
    const options = { ...quick, signal: controller.signal, subjects, reference: 'a', now: machine.now };
    await assert.rejects(measure(options), /stopped by the test/);
  }
});

test('signals and timers get their turn while runs never leave the microtask queue', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('stopped by the test')), 20);
  const busy = { name: 'a', run: () => Promise.resolve() };
  const options = { seed: 1, warmUpSeconds: 30, signal: controller.signal };
  await assert.rejects(measure({ ...options, subjects: [busy], reference: 'a' }), /stopped by the test/);
});

test('an error of a run ends the measurement as it is', async () => {
  const subject = { name: 'a', run: () => Promise.reject(new Error('no memory')) };
  await assert.rejects(measure({ ...quick, subjects: [subject], reference: 'a' }), /no memory/);
});

test('wrong names are our own fault', async () => {
  const machine = new Simulation();
  const a = machine.subject('a', () => 5);
  const options = { ...quick, now: machine.now };
  await assert.rejects(measure({ ...options, subjects: [a], reference: 'b' }), /internal: no subject is named b/);
  await assert.rejects(measure({ ...options, subjects: [a, a], reference: 'a' }), /internal: two subjects/);
  await assert.rejects(measure({ ...options, subjects: [a], reference: 'a', minRounds: 5 }), /internal: minRounds 5/);
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
  const subjects = [machine.subject('a', () => 100)];
  await measure({ ...quick, subjects, reference: 'a', minRounds: 6, progress, now: machine.now });
  assert.equal(heard[0], 'start warm up 1');
  assert.deepEqual(heard.slice(2, 5), ['end', 'start measure (seconds at most) 10', '0.00 {"rounds":1}']);
  assert.deepEqual(heard.slice(-3), ['1.00 {"rounds":6}', '10.00 {"rounds":6}', 'end']);
});

test('the target is not looked at before its own number of rounds', async () => {
  const machine = new Simulation();
  const subjects = [machine.subject('a', () => 100), machine.subject('b', () => 50)];
  const options = { ...quick, subjects, reference: 'a', minRounds: 6, targetRounds: 30, now: machine.now };
  const whole = await measure(options);
  assert.deepEqual([whole.rounds, whole.stopReason], [30, 'target half-width reached']);
  const short = await measure({ ...options, budgetSeconds: 2.6 });
  assert.deepEqual([short.rounds, short.stopReason], [11, 'time budget used']);
});

test('a subject that knows its own time is believed', async () => {
  const machine = new Simulation();
  const slow = machine.subject('a', () => 100);
  const own = { name: 'b', run: () => slow.run().then(() => 25) };
  const { subjects } = await measure({ ...quick, subjects: [slow, own], reference: 'a', now: machine.now });
  assert.deepEqual(
    subjects.map(({ firstInferenceMs, latencyMs, speedup }) => [firstInferenceMs, latencyMs.p50, speedup?.ratio]),
    [
      [100, 100, undefined],
      [25, 25, 4],
    ],
  );
});

/** What a run claims on a simulated noisy machine, and the rule by which it claims it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { medianInterval } from '../../src/timing/bootstrap.ts';
import { measure } from '../../src/timing/measurement.ts';
import { coversOne, halfWidth, pairedSpeedup, verdict } from '../../src/timing/speedup.ts';
import { gaussian, noisyRun, Simulation } from './simulation.ts';

const seeds = Array.from({ length: 30 }, (_, i) => 100 + i);

async function speedups(slowdown: number) {
  const results = [];
  for (const seed of seeds) results.push((await noisyRun(seed, slowdown)).subjects[1]!.speedup!);
  return results;
}

test('A/A: the interval covers 1 in at least 27 of 30 runs, of the subject and of the control', async () => {
  let subject = 0;
  let control = 0;
  for (const seed of seeds) {
    const result = await noisyRun(seed, 1);
    if (coversOne(result.subjects[1]!.speedup!)) subject++;
    if (result.control.valid) control++;
  }
  assert.ok(subject >= 27, `${subject} of 30`);
  assert.ok(control >= 27, `${control} of 30`);
});

test('sessions of one file that stay different for as long as they are open are no difference', async () => {
  let covered = 0;
  let coveredByOneOpening = 0;
  for (const seed of seeds) {
    const machine = new Simulation();
    const [normal, noise] = [gaussian(seed), gaussian(seed + 500)];
    const duration = () => 10 * Math.exp(0.02 * noise());
    const result = await measure({
      names: ['a', 'b'],
      reference: 'a',
      open: machine.opener({ a: duration, b: duration }, () => Math.exp(0.05 * normal())),
      seed,
      budgetSeconds: 10,
      now: machine.now,
    });
    const [a, b] = result.subjects.map(({ samplesMs }) => samplesMs.slice(0, result.openings[0]));
    if (coversOne(result.subjects[1]!.speedup!)) covered++;
    const [low, high] = medianInterval(
      a!.map((ms, round) => ms / b![round]!),
      { seed },
    )!;
    if (low <= 1 && high >= 1) coveredByOneOpening++;
  }
  assert.ok(covered >= 27, `${covered} of 30`);
  assert.ok(coveredByOneOpening < 10, `${coveredByOneOpening} of 30, the interval of the rounds of one opening`);
});

test('a planted slowdown of 10 % is found in at least 27 of 30 runs', async () => {
  const results = await speedups(1.1);
  const found = results.filter((speedup) => verdict(speedup) === 'slower').length;
  assert.ok(found >= 27, `${found} of 30`);
});

test('a planted slowdown of 3 % is never reported as a speed-up', async () => {
  const results = await speedups(1.03);
  assert.equal(results.filter((speedup) => verdict(speedup) === 'faster').length, 0);
});

test('the verdict needs an interval that excludes 1 and an effect above the threshold', () => {
  assert.equal(verdict({ ratio: 1.5, ci95: [1.4, 1.6] }), 'faster');
  assert.equal(verdict({ ratio: 0.7, ci95: [0.6, 0.8] }), 'slower');
  assert.equal(verdict({ ratio: 1.5, ci95: [0.99, 2] }), 'not distinguishable');
  assert.equal(verdict({ ratio: 1.5, ci95: [1, 2] }), 'not distinguishable');
  assert.equal(verdict({ ratio: 1.5, ci95: null }), 'not distinguishable');
  assert.equal(verdict({ ratio: 1.019, ci95: [1.018, 1.02] }), 'not distinguishable');
  assert.equal(verdict({ ratio: 1 / 1.019, ci95: [0.97, 0.99] }), 'not distinguishable');
  assert.equal(verdict({ ratio: 1.021, ci95: [1.02, 1.022] }), 'faster');
  assert.equal(verdict({ ratio: 1.021, ci95: [1.02, 1.022] }, 0.05), 'not distinguishable');
});

test('a speed-up and its inverse are told by inverse intervals', () => {
  const a = [10, 11, 12, 10.5, 11.5, 10, 30, 11];
  const b = [5, 5.4, 6.3, 5.2, 5.9, 5.1, 5.2, 5.3];
  const forth = pairedSpeedup(a, b, [2, 3, 3]);
  const back = pairedSpeedup(b, a, [2, 3, 3]);
  assert.ok(Math.abs(forth.ratio * back.ratio - 1) < 1e-12);
  assert.ok(forth.ratio > 1.9 && forth.ratio < 2.1);
  assert.ok(Math.abs(halfWidth(forth) - halfWidth(back)) < 1e-12);
  assert.equal(halfWidth({ ratio: 2, ci95: null }), Infinity);
});

/** Tables of MixKD that the tests of single parts leave open: how strong a mixing is, and what a step costs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { betaSource, randomStream } from '../../src/data/index.ts';
import { attentions, stageStep, trainedConfig } from './stage-step.ts';

describe('the strength of mixing, E[2λ(1-λ)] = α/(2α+1)', () => {
  const rows: readonly [alpha: number, strength: number][] = [
    [0.1, 0.083],
    [0.2, 0.143],
    [0.4, 0.222],
    [0.75, 0.3],
    [1, 0.333],
    [2, 0.4],
  ];
  for (const [alpha, strength] of rows)
    it(`α = ${alpha}: ${strength}`, () => {
      const next = betaSource(randomStream(3, 'strength'), alpha);
      const count = 40_000;
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const lambda = next();
        sum += 2 * lambda * (1 - lambda);
      }
      // 2λ(1-λ) is at most 1/2, so its deviation is at most 1/4: five standard errors, and the last printed digit.
      assert.ok(Math.abs(sum / count - alpha / (2 * alpha + 1)) < (5 * 0.25) / Math.sqrt(count));
      assert.equal((alpha / (2 * alpha + 1)).toFixed(3), strength.toFixed(3));
    });
});

describe('what a step of a 12-layer teacher costs', () => {
  for (const [layers, ratio] of [
    [6, '2.7'],
    [3, '3.3'],
  ] as const)
    it(`a student of ${layers} layers: ${ratio} times a step of KD, whose teacher is cached`, async () => {
      const sizes = { student: trainedConfig({ layers }), teacher: trainedConfig({ layers: 12 }) };
      const passes = async (method: string, ...set: string[]) => attentions(await stageStep(method, { ...sizes, set }));
      assert.equal(await passes('kd'), layers);
      assert.equal(await passes('mixkd'), 2 * layers + 12);
      // About plain examples the teacher is asked once, and so it is for the interpolated target.
      assert.equal(await passes('mixkd', 'original=1'), 2 * layers + 12);
      assert.equal(await passes('mixkd', 'target=interpolated'), 2 * layers);
      // The student's layers also run backward, at twice the cost.
      assert.equal(((3 * 2 * layers + 12) / (3 * layers)).toFixed(1), ratio);
    });
});

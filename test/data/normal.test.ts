/** Normal draws: moments, and the uniform numbers that they take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalSource, randomStream } from '../../src/data/index.ts';

test('moments of N(0, 1)', () => {
  const next = normalSource(randomStream(4, 'normal'));
  const values = Array.from({ length: 200_000 }, next);
  // E x^k and the variance of x^k.
  const moments: readonly [power: number, expected: number, variance: number][] = [
    [1, 0, 1],
    [2, 1, 2],
    [3, 0, 15],
    [4, 3, 96],
  ];
  for (const [power, expected, variance] of moments) {
    const actual = values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    assert.ok(Math.abs(actual - expected) < 5 * Math.sqrt(variance / values.length), `moment ${power}: ${actual}`);
  }
});

test('each draw takes two uniform numbers', () => {
  const [random, same] = [randomStream(4, 'normal'), randomStream(4, 'normal')];
  const next = normalSource(random);
  for (let i = 0; i < 3; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - same.nextFloat()));
    assert.equal(next(), radius * Math.cos(2 * Math.PI * same.nextFloat()));
  }
});

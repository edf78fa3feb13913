/** Random streams: known answers, moments, resumption. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomFromState, randomStream } from '../../src/data/index.ts';

const next = (random: { nextUint32(): number }, count: number) => Array.from({ length: count }, random.nextUint32);

// Known answers come from a second implementation in Python integers of arbitrary size, masked to 32 bits.
test('sfc32 gives the reference sequence', () => {
  assert.deepEqual(next(randomFromState([1, 2, 3, 4]), 4), [7, 34, 56623200, 188882296]);
  const wrapping = randomFromState([0xffffffff, 0x80000000, 0x12345678, 0xfffffffe]);
  assert.deepEqual(next(wrapping, 4), [2147483645, 605489719, 1788566652, 1686122234]);
});

test('seeding by name and indices gives the reference sequence, for large and negative seeds too', () => {
  assert.deepEqual(next(randomStream(42, 'dropout', 3, 7), 4), [1547960654, 232007397, 2985776249, 2340463557]);
  assert.deepEqual(next(randomStream(-1, ''), 4), [3802675630, 3607943205, 3505000725, 1018566971]);
  assert.deepEqual(next(randomStream(2 ** 40 + 5, 'x'), 4), [3667989483, 4276797909, 1762958130, 3604529923]);
});

test('a state survives JSON and continues the sequence, after bulk fills of odd length too', () => {
  const random = randomStream(7, 'state');
  random.fillBernoulli(new Uint8Array(4097 * 3), 0.5);
  random.fillUint16(new Uint16Array(5));
  const copy = randomFromState(JSON.parse(JSON.stringify(random.state())));
  assert.deepEqual(next(copy, 5), next(random, 5));
});

test('bulk fills are the halves of the single words, low half first', () => {
  const words = next(randomStream(1, 'bulk'), 3000);
  const halves = words.flatMap((word) => [word & 0xffff, word >>> 16]).slice(0, 5999);
  const filled = randomStream(1, 'bulk').fillUint16(new Uint16Array(5999));
  assert.deepEqual([...filled], halves);
  const mask = randomStream(1, 'bulk').fillBernoulli(new Uint8Array(5999), 0.25);
  assert.deepEqual(
    [...mask],
    halves.map((half) => Number(half < 16384)),
  );
});

test('a fill of a view leaves its surroundings alone', () => {
  const whole = new Uint8Array(10).fill(9);
  randomStream(1, 'view').fillBernoulli(whole.subarray(2, 5), 1);
  assert.deepEqual([...whole], [9, 9, 1, 1, 1, 9, 9, 9, 9, 9]);
});

test('a Bernoulli fill has its mean and no correlation between neighbours', () => {
  const count = 1_000_000;
  for (const keep of [0, 0.1, 0.5, 0.9, 1]) {
    const mask = randomStream(3, 'moments').fillBernoulli(new Uint8Array(count), keep);
    let ones = 0;
    let both = 0;
    for (let i = 0; i < count; i++) {
      ones += mask[i]!;
      both += mask[i]! & mask[(i + 1) % count]!;
    }
    const tolerance = 5 * Math.sqrt((keep * (1 - keep)) / count) + 2 ** -17;
    assert.ok(Math.abs(ones / count - keep) <= tolerance, `mean ${ones / count} of ${keep}`);
    const covariance = both / count - (ones / count) ** 2;
    assert.ok(Math.abs(covariance) <= (5 * keep * (1 - keep)) / Math.sqrt(count), `neighbours at ${keep}`);
  }
});

test('floats are uniform: mean 1/2, variance 1/12, within [0, 1)', () => {
  const random = randomStream(11, 'floats');
  const values = Array.from({ length: 200_000 }, random.nextFloat);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  assert.ok(Math.abs(mean - 0.5) < 0.004);
  assert.ok(Math.abs(variance - 1 / 12) < 0.002);
  assert.ok(values.every((value) => value >= 0 && value < 1));
});

test('streams that differ in seed, name or an index are uncorrelated', () => {
  const count = 20_000;
  const keys: [number, string, ...number[]][] = [
    [0, 'a'],
    [1, 'a'],
    [0, 'b'],
    [0, 'a', 0],
    [0, 'a', 1],
    [0, 'a', 0, 0],
  ];
  const streams = keys.map((key) => {
    const random = randomStream(...key);
    return Array.from({ length: count }, () => random.nextFloat() - 0.5);
  });
  for (let i = 0; i < streams.length; i++) {
    for (let j = 0; j < i; j++) {
      const product = streams[i]!.reduce((sum, value, k) => sum + value * streams[j]![k]!, 0);
      assert.ok(Math.abs((12 * product) / count) < 5 / Math.sqrt(count), `${keys[i]} and ${keys[j]}`);
    }
  }
});

test('integers are unbiased and shuffles reach every order equally often', () => {
  const random = randomStream(5, 'orders');
  const seen = new Map<string, number>();
  for (let i = 0; i < 12_000; i++) {
    const order = random.shuffle(['a', 'b', 'c', 'd']).join('');
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  assert.equal(seen.size, 24);
  for (const [order, times] of seen) assert.ok(Math.abs(times - 500) < 120, `${order}: ${times}`);
  assert.equal(random.int(1), 0);
  assert.throws(() => random.int(0), /internal: no integer below 0/);
  assert.throws(() => randomStream(0.5, 'a'), /internal: a seed is an integer/);
});

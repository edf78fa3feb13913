/** Batches: which examples, in which order, how long, and as tensors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketing, collate, encodedLengths, planBatches, type EncodedExamples } from '../../src/data/index.ts';

const lengths = Array.from({ length: 1003 }, (_, i) => 3 + ((i * 7919) % 126));
const bucket = bucketing(128);
const plan = (seed: number, epoch: number) => planBatches({ lengths, batchSize: 16, bucket, shuffle: { seed, epoch } });

test('lengths are rounded up by 8, 16 and 32, never above the longest', () => {
  const rounded = [1, 8, 9, 63, 64, 65, 81, 128, 129, 161, 499, 512].map(bucketing(512));
  assert.deepEqual(rounded, [8, 8, 16, 64, 64, 80, 96, 128, 160, 192, 512, 512]);
  assert.deepEqual([97, 100].map(bucketing(100)), [100, 100]);
  assert.throws(() => bucketing(100)(101), /internal: an example of 101 tokens/);
});

test('every example is in exactly one batch, which is long enough for it', () => {
  for (const batches of [plan(1, 0), planBatches({ lengths, batchSize: 16, bucket })]) {
    const indices = batches.flatMap((batch) => batch.indices);
    assert.deepEqual(
      [...indices].sort((a, b) => a - b),
      lengths.map((_, i) => i),
    );
    for (const batch of batches) assert.equal(batch.length, bucket(Math.max(...batch.indices.map((i) => lengths[i]!))));
    const sizes = batches.map((batch) => batch.indices.length);
    assert.deepEqual(
      sizes.filter((size) => size !== 16),
      [1003 % 16],
    );
  }
});

test('the order depends on seed and epoch alone', () => {
  assert.deepEqual(plan(1, 0), plan(1, 0));
  assert.notDeepEqual(plan(1, 0), plan(1, 1));
  assert.notDeepEqual(plan(1, 0), plan(2, 0));
});

test('batches hold similar lengths but come in no order of length', () => {
  const batches = plan(1, 0);
  const padded = batches.reduce((sum, batch) => sum + batch.length * batch.indices.length, 0);
  const real = lengths.reduce((sum, length) => sum + length, 0);
  assert.ok(padded / real < 1.2, `${padded / real} times the tokens`);
  const ordered = batches.map((batch) => batch.length);
  assert.notDeepEqual(
    ordered,
    [...ordered].sort((a, b) => a - b),
  );
});

test('chunks bound how far the sorting reaches', () => {
  const batches = planBatches({ lengths, batchSize: 4, bucket, shuffle: { seed: 1, epoch: 0 }, sortWithin: 1 });
  const spreads = batches.map(({ indices }) => {
    const inBatch = indices.map((i) => lengths[i]!);
    return Math.max(...inBatch) - Math.min(...inBatch);
  });
  assert.ok(spreads.reduce((sum, spread) => sum + spread, 0) / spreads.length > 40);
});

test('evaluation goes through the examples by length', () => {
  const order = planBatches({ lengths, batchSize: 16, bucket }).flatMap((batch) => batch.indices);
  for (let i = 1; i < order.length; i++) assert.ok(lengths[order[i - 1]!]! <= lengths[order[i]!]!);
});

test('no examples, no batches', () => {
  assert.deepEqual(planBatches({ lengths: [], batchSize: 4, bucket }), []);
  assert.deepEqual(planBatches({ lengths: [], batchSize: 4, bucket, shuffle: { seed: 1, epoch: 0 } }), []);
});

const encoded: EncodedExamples = {
  count: 3,
  ids: Int32Array.of(2, 11, 3, 2, 12, 13, 3, 14, 3, 2, 3),
  typeIds: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0),
  offsets: Int32Array.of(0, 3, 9, 11),
  labels: Float64Array.of(1, 0, 2.5),
  padId: 9,
};

test('a batch becomes tensors; padding is masked, filler rows weigh nothing and repeat real ones', () => {
  assert.deepEqual([...encodedLengths(encoded)], [3, 6, 2]);
  const made = collate(encoded, { indices: [1, 0], length: 8 }, { rows: 3 });
  const row1 = [2n, 12n, 13n, 3n, 14n, 3n, 9n, 9n];
  const row0 = [2n, 11n, 3n, 9n, 9n, 9n, 9n, 9n];
  assert.deepEqual(made.input_ids.dims, [3, 8]);
  assert.deepEqual([...made.input_ids.data], [...row1, ...row0, ...row1]);
  const mask1 = [1n, 1n, 1n, 1n, 1n, 1n, 0n, 0n];
  assert.deepEqual([...made.attention_mask.data], [...mask1, 1n, 1n, 1n, 0n, 0n, 0n, 0n, 0n, ...mask1]);
  const types1 = [0n, 0n, 0n, 0n, 1n, 1n, 0n, 0n];
  assert.deepEqual([...made.token_type_ids.data], [...types1, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, ...types1]);
  assert.deepEqual([...made.weights.data], [1, 1, 0]);
  assert.deepEqual(made.labels, { dtype: 'int64', dims: [3], data: BigInt64Array.of(0n, 1n, 0n) });
});

test('labels of regression are float32', () => {
  const made = collate(encoded, { indices: [2], length: 2 }, { regression: true });
  assert.deepEqual(made.labels, { dtype: 'float32', dims: [1], data: Float32Array.of(2.5) });
});

test('examples that do not fit are a bug', () => {
  assert.throws(() => collate(encoded, { indices: [0, 1], length: 5 }), /internal: example 1 has 6 tokens/);
  assert.throws(() => collate(encoded, { indices: [0, 1], length: 8 }, { rows: 1 }), /internal: 2 examples in 1 rows/);
});

/** Ranges of quantized activations: the methods against other programs' figures, and what must hold for each. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  activationRanges,
  countValues,
  divergence,
  edgeOf,
  emptyHistogram,
  entropyRange,
  leastSquaresRange,
  percentileRange,
  zeroBin,
  type Calibration,
  type Histogram,
  type Range,
} from '../../plugins/export/src/index.ts';
import { activationScale } from '../../plugins/export/src/quantize/static-linear.ts';
import type { KdxError } from '../../src/errors/index.ts';
import { tensor, type Model } from '../../src/graph/index.ts';
import { seeded } from '../support/seeded.ts';

interface Golden {
  readonly values: readonly number[];
  readonly bins: number;
  readonly counts: readonly number[];
  readonly zeroBin: number;
  readonly percentiles: readonly {
    readonly percentile: number;
    readonly numpy: readonly [number, number];
    readonly onnxruntime: readonly [number, number];
  }[];
  readonly levels: number;
  readonly divergences: readonly { readonly first: number; readonly end: number; readonly divergence: number }[];
  readonly leastSquares: Range & { readonly levels: number; readonly error: number; readonly errorOfAll: number };
}

const golden = JSON.parse(
  await readFile(new URL('../../fixtures/golden/calibration.json', import.meta.url), 'utf8'),
) as Golden;
const values = Float32Array.from(golden.values);

function histogramOf(data: Float32Array, bins: number, low = Math.min(0, ...data), high = Math.max(0, ...data)) {
  const histogram = emptyHistogram({ low, high }, bins);
  countValues(histogram, data);
  return histogram;
}

/** Mean squared error of values that are quantized as the graph does it. */
function squaredError(data: Float32Array, range: Range, levels = 256): number {
  const scale = (range.high - range.low) / (levels - 1);
  const zero = Math.round(-range.low / scale);
  const errors = data.map((value) => {
    const code = Math.max(0, Math.min(levels - 1, Math.round(value / scale) + zero));
    return ((code - zero) * scale - value) ** 2;
  });
  return errors.reduce((sum, error) => sum + error, 0) / data.length;
}

function normal(seed: number, count: number, deviation = 1): Float32Array {
  const { float } = seeded(seed);
  const draw = () => Math.sqrt(-2 * Math.log(1 - float())) * Math.cos(2 * Math.PI * float());
  return Float32Array.from({ length: count }, () => deviation * draw());
}

test('the histogram is that of numpy', () => {
  const histogram = histogramOf(values, golden.bins);
  assert.deepEqual([...histogram.counts], golden.counts);
  assert.equal(zeroBin(histogram), golden.zeroBin);
  assert.deepEqual([edgeOf(histogram, 0), edgeOf(histogram, golden.bins)], [-8, 8]);
});

test('values outside a histogram count at its ends; one without width holds everything in one bin', () => {
  const histogram = emptyHistogram({ low: -1, high: 1 }, 4);
  countValues(histogram, Float32Array.of(-9, -1, -0.5, 0, 0.49, 1, 9));
  assert.deepEqual([...histogram.counts], [2, 1, 2, 2]);
  assert.deepEqual([...histogramOf(new Float32Array(3), 4).counts], [3, 0, 0, 0]);
});

test('percentiles are within a bin of those of numpy, and cut no more', () => {
  const histogram = histogramOf(values, golden.bins);
  const bin = 16 / golden.bins;
  for (const { percentile, numpy, onnxruntime } of golden.percentiles) {
    const { low, high } = percentileRange(histogram, percentile);
    for (const [found, expected] of [
      [low, numpy[0]],
      [high, numpy[1]],
    ] as const)
      assert.ok(Math.abs(found - expected) <= 1.01 * bin, `${percentile}: ${found}, ${expected}`);
    assert.ok(Math.abs(low - onnxruntime[0]) <= bin && high - onnxruntime[1] <= 2 * bin && high >= onnxruntime[1]);
    const outside = values.filter((value) => value < low || value > high).length;
    assert.ok(outside <= (values.length * (100 - percentile)) / 100, `${percentile}: ${outside} outside`);
  }
  const clipped = percentileRange(histogram, 99);
  assert.ok(clipped.low > -8 && clipped.high < 8, 'it clips');
  assert.deepEqual(percentileRange(histogram, 100), { low: -8, high: 8 });
});

test('the KL divergence is that of scipy', () => {
  const counts = Float64Array.from(golden.counts);
  for (const { first, end, divergence: expected } of golden.divergences)
    assert.ok(Math.abs(divergence(counts, first, end, golden.levels) - expected) < 1e-12, `${first} to ${end}`);
});

test('entropy keeps a flat distribution whole and leaves a lonely value out', () => {
  const flat: Histogram = { low: -1, high: 3, counts: new Float64Array(2048).fill(10) };
  assert.deepEqual(entropyRange(flat, 256), { low: -1, high: 3 });
  const bulk = normal(1, 40000);
  const lonely = histogramOf(Float32Array.of(...bulk, 60), 2048);
  const { low, high } = entropyRange(lonely, 256);
  assert.ok(high < 30, `cut at ${high}`);
  assert.ok(low <= -2 && high >= 2, `${low} to ${high}: the bulk stays`);
});

test('the least squared error is as good as that of a search over a grid', () => {
  const { leastSquares } = golden;
  const range = leastSquaresRange(histogramOf(values, 2048), leastSquares.levels);
  const found = squaredError(values, range, leastSquares.levels);
  assert.ok(found <= leastSquares.error * 1.05, `${found}, ${leastSquares.error}`);
  assert.ok(found < leastSquares.errorOfAll / 2, 'cutting pays');
  assert.ok(
    Math.abs(squaredError(values, { low: -8, high: 8 }, 16) - leastSquares.errorOfAll) < 1e-6,
    'the same measure',
  );
});

test('the least squared error is no worse than that of the whole range', () => {
  for (const outlier of [0, 12, 200]) {
    const data = Float32Array.of(...normal(2, 20000), outlier);
    const histogram = histogramOf(data, 2048);
    const [found, whole] = [leastSquaresRange(histogram, 256), histogram].map((range) => squaredError(data, range));
    assert.ok(found! <= whole! * 1.02, `${outlier}: ${found}, ${whole}`);
  }
});

/** A calibration that shows these values of `x`. */
function showing(...runs: Float32Array[]): Calibration {
  return {
    sentences: runs.length,
    observe: async (_model, names, visit) => {
      for (const data of runs) visit(new Map(names.map((name) => [name, tensor('float32', [1, data.length], data)])));
    },
  };
}

const noModel = {} as Model;

test('each method over several sentences; zero is always inside', async () => {
  const runs = [normal(4, 3000), normal(5, 5000, 2), Float32Array.of(-1, 40)];
  const all = Float32Array.of(...runs.flatMap((run) => [...run]));
  const of = async (calibration: 'minmax' | 'entropy' | 'percentile' | 'mse', shown = runs) =>
    (await activationRanges(showing(...shown), noModel, ['x'], { calibration, percentile: 99 })).get('x')!;
  const whole = await of('minmax');
  assert.deepEqual(whole, { low: Math.min(...all), high: 40, rank: 2 });
  for (const method of ['entropy', 'percentile', 'mse'] as const) {
    const { low, high } = await of(method);
    assert.ok(low >= whole.low && high < 40 && low < 0 && high > 3, `${method}: ${low}, ${high}`);
  }
  assert.ok(squaredError(all, await of('mse')) <= squaredError(all, whole));
  for (const method of ['minmax', 'entropy', 'percentile', 'mse'] as const) {
    const positive = await of(method, [Float32Array.from(normal(6, 500), (value) => 5 + Math.abs(value))]);
    assert.equal(positive.low, 0, method);
    const nothing = await of(method, [new Float32Array(8)]);
    assert.deepEqual(nothing, { low: 0, high: 0, rank: 2 }, method);
  }
  await assert.rejects(
    of('mse', [Float32Array.of(1, Number.NaN)]),
    (error: KdxError) => error.code === 'not-finite' && /x is NaN/.test(error.message),
  );
});

test('scale and zero point: zero has a code, the ends fit, an empty range is harmless', () => {
  for (const range of [
    { low: -0.17, high: 6.2 },
    { low: -3, high: 0 },
    { low: 0, high: 1e-3 },
    { low: -1e30, high: 1e-30 },
  ]) {
    const { scale, zeroPoint } = activationScale(range);
    assert.ok(Number.isInteger(zeroPoint) && zeroPoint >= 0 && zeroPoint <= 255);
    assert.equal(scale, Math.fround(scale));
    for (const [end, code] of [
      [range.low, -zeroPoint],
      [range.high, 255 - zeroPoint],
    ] as const)
      assert.ok(Math.abs(code * scale - end) <= 0.51 * scale, `${end}: ${code * scale}`);
  }
  for (const high of [0, 1e-42]) assert.deepEqual(activationScale({ low: 0, high }), { scale: 1, zeroPoint: 0 });
});

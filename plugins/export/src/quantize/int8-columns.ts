/** Symmetric int8 weights with one scale per output channel, safe for processors that add products in 16 bits. */
import { KdxError } from 'kdx/errors';
import { tensor, type Tensor } from 'kdx/graph';
import { largestPair, LARGEST_SAFE_PAIR } from 'kdx/passes';
import { columnsOf, type LinearWeight } from './linear-layers.ts';

/**
 * Largest |code| of a column: 127 for 8, 64 for 7; `auto` is the largest one in 64..127 with which the column cannot
 * saturate.
 */
export type WeightBits = 'auto' | 7 | 8;

/** W [K, N] ≈ codes · scales. */
export interface Int8Columns {
  readonly codes: Tensor<'int8'>;
  /** [N] */
  readonly scales: Tensor<'float32'>;
  /** Columns with a largest code below 127. */
  readonly narrowed: number;
}

const FULL = 127;
const SAFE = 64;
/** Columns that are turned at a time: row by row, a cache line would be read for each value. */
const BLOCK = 16;
/** Added and taken away, it rounds to the nearest integer, halves to even, as QuantizeLinear does (2^52 · 1.5). */
const ROUNDING = 6755399441055744;
/** A scale below it may be flushed to zero. */
const SMALLEST_NORMAL = 2 ** -126;

/** @throws KdxError `not-finite` */
export function quantizeColumns(weight: LinearWeight, bits: WeightBits): Int8Columns {
  const { value, transposed } = weight;
  const columns = columnsOf(weight);
  const rows = value.data.length / columns;
  const codes = new Int8Array(rows * columns);
  const scales = new Float32Array(columns);
  const block = new Float32Array(BLOCK * rows);
  const rounded = new Int8Array(BLOCK * rows);
  let narrowed = 0;
  for (let first = 0; first < columns; first += BLOCK) {
    const count = Math.min(BLOCK, columns - first);
    if (transposed) block.set(value.data.subarray(first * rows, (first + count) * rows));
    else
      for (let k = 0; k < rows; k++)
        for (let n = 0; n < count; n++) block[n * rows + k] = value.data[k * columns + first + n] as number;
    for (let n = 0; n < count; n++) {
      const [from, to] = [n * rows, (n + 1) * rows];
      const { scale, levels } = quantizeColumn(block.subarray(from, to), bits, rounded.subarray(from, to), weight.name);
      if (levels < FULL) narrowed++;
      scales[first + n] = scale;
    }
    for (let k = 0; k < rows; k++)
      for (let n = 0; n < count; n++) codes[k * columns + first + n] = rounded[n * rows + k] as number;
  }
  return {
    codes: tensor('int8', [rows, columns], codes),
    scales: tensor('float32', [columns], scales),
    narrowed,
  };
}

function quantizeColumn(column: Float32Array, bits: WeightBits, codes: Int8Array, name: string) {
  const largest = largestMagnitude(column, name);
  let levels = bits === 7 ? SAFE : FULL;
  // A rounded pair is less than 1 below the exact one, so more levels than these cannot do.
  if (bits === 'auto' && largest > 0) {
    levels = Math.min(FULL, Math.ceil(((LARGEST_SAFE_PAIR + 1) * largest) / largestPair(column)));
    while (levels > SAFE && canSaturate(column, Math.fround(largest / levels))) levels--;
  }
  return { scale: roundWithScale(column, largest, levels, codes), levels };
}

/** Whether codes of this scale add up to more than LARGEST_SAFE_PAIR in a pair (see largestPair). */
function canSaturate(column: Float32Array, scale: number): boolean {
  // Rounding adds at most 1 to a pair.
  const suspicious = (LARGEST_SAFE_PAIR - 1) * scale;
  for (let k = 0; k + 1 < column.length; k += 2) {
    const a = column[k] as number;
    const b = column[k + 1] as number;
    // Almost always, and signs cannot be guessed.
    if (Math.abs(a + b) < suspicious || a < 0 !== b < 0) continue;
    const sum = a / scale + ROUNDING - ROUNDING + (b / scale + ROUNDING - ROUNDING);
    if (Math.abs(sum) > LARGEST_SAFE_PAIR) return true;
  }
  return false;
}

/**
 * Codes of values of at most `largest` in -levels..levels; returns the scale. All codes are 0, and the scale is 1, where
 * the values are 0 or too small for a scale.
 */
export function roundWithScale(values: Float32Array, largest: number, levels: number, codes: Int8Array): number {
  const scale = Math.fround(largest / levels);
  if (scale < SMALLEST_NORMAL) {
    codes.fill(0);
    return 1;
  }
  for (let i = 0; i < values.length; i++) codes[i] = (values[i] as number) / scale + ROUNDING - ROUNDING;
  return scale;
}

/** @throws KdxError `not-finite` */
export function largestMagnitude(values: Float32Array, name: string): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i] as number);
    if (!(magnitude < Infinity))
      throw new KdxError('not-finite', `${name} holds ${values[i]}, which has no quantized form`, {
        suggestions: ['look for the step of the training in which the loss stopped being a number'],
      });
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
}

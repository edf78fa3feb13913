/** Symmetric int8 weights with one scale per output channel, safe for processors that add products in 16 bits. */
import { KdxError } from 'kdx/errors';
import { tensor, type Tensor } from 'kdx/graph';
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
/** A scale below it may be flushed to zero. */
const SMALLEST_NORMAL = 2 ** -126;
/** |w0| + |w1| at which 255 · (|w0| + |w1|) still fits 16 bits: 255 · 128 = 32640 ≤ 32767. */
const LARGEST_PAIR = 128;

/** @throws KdxError `not-finite` */
export function quantizeColumns(weight: LinearWeight, bits: WeightBits): Int8Columns {
  const { value, transposed } = weight;
  const columns = columnsOf(weight);
  const rows = value.data.length / columns;
  const codes = new Int8Array(rows * columns);
  const scales = new Float32Array(columns);
  const column = new Float32Array(rows);
  const quantized = new Int8Array(rows);
  let narrowed = 0;
  for (let n = 0; n < columns; n++) {
    for (let k = 0; k < rows; k++) column[k] = value.data[transposed ? n * rows + k : k * columns + n] as number;
    const { scale, levels } = quantizeColumn(column, bits, quantized, weight.name);
    if (levels < FULL) narrowed++;
    scales[n] = scale;
    for (let k = 0; k < rows; k++) codes[k * columns + n] = quantized[k] as number;
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
  if (bits === 'auto' && largest > 0)
    levels = Math.min(FULL, Math.ceil(((LARGEST_PAIR + 1) * largest) / largestPair(column)));
  let scale = roundWithScale(column, largest, levels, codes);
  while (bits === 'auto' && levels > SAFE && largestPair(codes) > LARGEST_PAIR)
    scale = roundWithScale(column, largest, --levels, codes);
  return { scale, levels };
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
  for (let i = 0; i < values.length; i++) codes[i] = Math.round((values[i] as number) / scale);
  return scale;
}

/** @throws KdxError `not-finite` */
export function largestMagnitude(values: Float32Array, name: string): number {
  let largest = 0;
  for (const value of values) {
    if (!Number.isFinite(value))
      throw new KdxError('not-finite', `${name} holds ${value}, which has no quantized form`, {
        suggestions: ['look for the step of the training in which the loss stopped being a number'],
      });
    largest = Math.max(largest, Math.abs(value));
  }
  return largest;
}

/**
 * Largest |w0| + |w1| of equal sign over the pairs (0, 1), (2, 3), ... of a column. VPMADDUBSW multiplies unsigned
 * activations with signed weights and adds two neighbouring products in 16 bits, with saturation; ONNX Runtime's kernels
 * for AVX2 and AVX512 without VNNI put four consecutive rows of W beside one another (MlasGemmU8S8CopyPackBAvx2 and
 * MlasGemvU8S8KernelAvx2), so pairs begin at even rows. A last row without a partner is paired with 0.
 */
export function largestPair(column: Float32Array | Int8Array): number {
  let largest = 0;
  for (let k = 0; k < column.length; k += 2) {
    const [a, b] = [column[k] as number, column[k + 1] ?? 0];
    largest = Math.max(largest, a < 0 === b < 0 ? Math.abs(a + b) : Math.max(Math.abs(a), Math.abs(b)));
  }
  return largest;
}

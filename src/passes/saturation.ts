/** Whether int8 products can leave 16 bits: the rule of processors without dot products of 8 bits. */

/** |w0| + |w1| at which 255 · (|w0| + |w1|) still fits 16 bits: 255 · 128 = 32640 ≤ 32767. */
export const LARGEST_SAFE_PAIR = 128;

/**
 * Largest |w0| + |w1| of equal sign over the pairs (0, 1), (2, 3), ... of a column. VPMADDUBSW multiplies unsigned
 * activations with signed weights and adds two neighbouring products in 16 bits, with saturation; ONNX Runtime's kernels
 * for AVX2 and AVX512 without VNNI put four consecutive rows of W beside one another (MlasGemmU8S8CopyPackBAvx2 and
 * MlasGemvU8S8KernelAvx2), so pairs begin at even rows. A last row without a partner is paired with 0.
 */
export function largestPair(column: Float32Array | Int8Array): number {
  const pairs = column.length >> 1;
  let largest = column.length % 2 === 0 ? 0 : Math.abs(column[column.length - 1] as number);
  for (let pair = 0; pair < pairs; pair++) {
    const a = column[2 * pair] as number;
    const b = column[2 * pair + 1] as number;
    // |a + b| is the largest of the three where the signs are equal; where they are not, each counts alone.
    largest = Math.max(largest, Math.abs(a), Math.abs(b), Math.abs(a + b));
  }
  return largest;
}

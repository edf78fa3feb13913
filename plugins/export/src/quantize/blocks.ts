/** Symmetric rounding of a matrix to 4 or 8 bits, with one scale per block, and the packed forms that ONNX Runtime reads. */
import { z } from 'zod';
import { internal } from 'kdx/errors';
import { tensor, type Tensor } from 'kdx/graph';
import { largestMagnitude } from './int8-columns.ts';

export interface BlockOptions {
  readonly bits: 4 | 8;
  /** Elements that share a scale, one after the other along `axis`; the last block of a line may be shorter. */
  readonly blockSize: number;
  /** 0: blocks go down the columns, as in weights [in, out]. 1: they go along the rows, as in embedding tables. */
  readonly axis: 0 | 1;
}

/** A matrix [rows, columns] as code · scale. */
export interface Blocks extends BlockOptions {
  readonly dims: readonly [rows: number, columns: number];
  /** -2^(bits-1) to 2^(bits-1) - 1, in the layout of the matrix. */
  readonly codes: Int8Array;
  /** [ceil(rows / blockSize), columns] for axis 0, [rows, ceil(columns / blockSize)] for axis 1 */
  readonly scales: Tensor<'float32'>;
}

/** Block sizes that ONNX Runtime's kernels take, as an option of a quantizer. */
export const blockSizeOption = z.literal([16, 32, 64, 128, 256]);

/** A scale below it may be flushed to zero. */
const SMALLEST_NORMAL = 2 ** -126;

/**
 * Rounds to the nearest code. The scale of a block is its element of the largest magnitude, with its sign, divided by
 * -2^(bits-1): that element is met exactly, and both ends of the range of codes are used (the rule of ONNX Runtime's
 * MatMulNBitsQuantizer without zero points).
 * @param name of the matrix, for messages
 * @throws KdxError `not-finite`
 */
export function roundToBlocks(matrix: Tensor<'float32'>, options: BlockOptions, name: string): Blocks {
  const { bits, blockSize, axis } = options;
  const [rows, columns] = matrix.dims;
  if (rows === undefined || columns === undefined || matrix.dims.length > 2)
    throw internal(`blocks of a tensor [${matrix.dims.join()}]`);
  const { data } = matrix;
  largestMagnitude(data, name);
  const [lines, length] = axis === 0 ? [columns, rows] : [rows, columns];
  const count = Math.ceil(length / blockSize);
  const [lineStep, step] = axis === 0 ? [1, columns] : [columns, 1];
  const [scaleLineStep, scaleStep] = axis === 0 ? [1, columns] : [count, 1];
  const limit = 2 ** (bits - 1);
  const codes = new Int8Array(data.length);
  const scales = new Float32Array(lines * count);
  for (let line = 0; line < lines; line++)
    for (let block = 0; block < count; block++) {
      const start = line * lineStep + block * blockSize * step;
      const end = line * lineStep + Math.min(length, (block + 1) * blockSize) * step;
      let peak = 0;
      for (let i = start; i < end; i += step)
        if (Math.abs(data[i] as number) > Math.abs(peak)) peak = data[i] as number;
      const scale = peak / -limit;
      if (Math.abs(scale) < SMALLEST_NORMAL) continue;
      scales[line * scaleLineStep + block * scaleStep] = scale;
      for (let i = start; i < end; i += step)
        codes[i] = Math.min(limit - 1, Math.max(-limit, Math.round((data[i] as number) / scale)));
    }
  const scaleDims = axis === 0 ? [count, columns] : [rows, count];
  return { ...options, dims: [rows, columns], codes, scales: tensor('float32', scaleDims, scales) };
}

/** Codes of 4 bits as an ONNX tensor: two in a byte, the first one in the low half. */
export function int4Tensor({ dims, codes }: Blocks): Tensor<'int4'> {
  const packed = new Uint8Array(Math.ceil(codes.length / 2));
  for (let i = 0; i < codes.length; i++) packed[i >> 1]! |= ((codes[i] as number) & 0xf) << (4 * (i & 1));
  return tensor('int4', dims, packed);
}

/** Codes of 8 bits around a zero point of 128. */
export function uint8Tensor({ dims, codes }: Blocks): Tensor<'uint8'> {
  const shifted = Uint8Array.from(codes, (code) => code + 128);
  return tensor('uint8', dims, shifted);
}

/** Inputs of com.microsoft.MatMulNBits that stand for a weight. */
export interface NBitsWeight {
  /** uint8 [out, blocks, blockSize · bits / 8]: codes around 2^(bits-1), the first one of a byte in its low half */
  readonly packed: Tensor<'uint8'>;
  /** [out, blocks] */
  readonly scales: Tensor<'float32'>;
}

/** A weight [in, out] with blocks along axis 0. A last, shorter block is filled up with zeros. */
export function packNBits({ bits, blockSize, dims: [inputs, outputs], codes, scales }: Blocks): NBitsWeight {
  const count = Math.ceil(inputs / blockSize);
  const blockBytes = (blockSize * bits) / 8;
  const zero = 2 ** (bits - 1);
  const packed = new Uint8Array(outputs * count * blockBytes).fill(bits === 4 ? zero | (zero << 4) : zero);
  const turned = new Float32Array(outputs * count);
  for (let column = 0; column < outputs; column++) {
    const start = column * count * blockBytes;
    for (let row = 0; row < inputs; row++) {
      const code = (codes[row * outputs + column] as number) + zero;
      if (bits === 8) packed[start + row] = code;
      // The half is still the zero: exclusive or with it leaves the code.
      else packed[start + (row >> 1)]! ^= (code ^ zero) << (4 * (row & 1));
    }
    for (let block = 0; block < count; block++)
      turned[column * count + block] = scales.data[block * outputs + column] as number;
  }
  return {
    packed: tensor('uint8', [outputs, count, blockBytes], packed),
    scales: tensor('float32', [outputs, count], turned),
  };
}

/** The block size, halved while the zeros of a last block would add more than a sixteenth to lines of this length. */
export function fittingBlock(length: number, blockSize: number): number {
  let fitting = blockSize;
  while (fitting > 16 && Math.ceil(length / fitting) * fitting > length * (17 / 16)) fitting /= 2;
  return fitting;
}

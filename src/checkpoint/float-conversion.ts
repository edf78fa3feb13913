/** Floats of every width as float32. */
import { internal } from '../errors/index.ts';
import type { Tensor } from '../graph/index.ts';
import { tensor } from '../graph/index.ts';

/** Every float16 value by its bits, IEEE 754 binary16; made at first use (256 KiB). */
let float16Values: Float32Array | undefined;

/** float16 and bfloat16 exactly, float64 rounded to nearest; a float32 tensor is returned as it is. */
export function toFloat32(value: Tensor): Tensor<'float32'> {
  switch (value.dtype) {
    case 'float32':
      return value as Tensor<'float32'>;
    case 'float64':
      return tensor('float32', value.dims, Float32Array.from((value as Tensor<'float64'>).data));
    case 'float16':
      return tensor('float32', value.dims, fromFloat16((value as Tensor<'float16'>).data));
    case 'bfloat16':
      return tensor('float32', value.dims, fromBfloat16((value as Tensor<'bfloat16'>).data));
    default:
      throw internal(`${value.dtype} is no float`);
  }
}

/** A bfloat16 is the upper half of a float32. */
function fromBfloat16(bits: Uint16Array): Float32Array {
  const result = new Float32Array(bits.length);
  const words = new Uint32Array(result.buffer);
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16;
  return result;
}

function fromFloat16(bits: Uint16Array): Float32Array {
  const values = (float16Values ??= Float32Array.from({ length: 0x10000 }, (_, i) => float16Value(i)));
  const result = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) result[i] = values[bits[i] as number] as number;
  return result;
}

/** 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** float32 to float16. */
import { tensor, type Tensor } from 'kdx/graph';

const LARGEST = 0x7bff;
/** Bits of float32 values: 65504, 2^-14 (the smallest normal float16), infinity. */
const LARGEST_SINGLE = 0x477fe000;
const SMALLEST_NORMAL_SINGLE = 0x38800000;
const INFINITY_SINGLE = 0x7f800000;

/** To nearest, ties to even; clipped to ±65504, and what is not zero stays so (at least ±2^-24). NaN stays NaN. */
export function toFloat16(value: Tensor<'float32'>): Tensor<'float16'> {
  const { data } = value;
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const result = new Uint16Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = half(bits[i] as number, data[i] as number);
  return tensor('float16', value.dims, result);
}

function half(bits: number, value: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > INFINITY_SINGLE) return sign | 0x7e00;
  if (magnitude >= LARGEST_SINGLE) return sign | LARGEST;
  if (magnitude === 0) return sign;
  if (magnitude < SMALLEST_NORMAL_SINGLE) return sign | Math.max(1, roundHalfToEven(Math.abs(value) * 2 ** 24));
  const odd = (magnitude >> 13) & 1;
  return sign | ((magnitude + 0xfff + odd - SMALLEST_NORMAL_SINGLE + 0x800000) >> 13);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The quantizers, in the order of help texts. */
import { fp16 } from './fp16.ts';
import { int8 } from './int8.ts';
import { int8Static } from './int8-static.ts';
import type { Quantizer } from './quantizer.ts';
import { weight4 } from './weight4.ts';
import { weight8 } from './weight8.ts';

export const quantizers: readonly Quantizer[] = [int8, int8Static, weight8, weight4, fp16];

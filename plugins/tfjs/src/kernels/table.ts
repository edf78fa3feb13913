/** A kernel for every operator that kdx emits: an operator without one does not compile. */
import { activation } from './activation.ts';
import { elementwise } from './elementwise.ts';
import { gather } from './gather.ts';
import type { KernelTable } from './kernel.ts';
import { layout } from './layout.ts';
import { matmul } from './matmul.ts';
import { normalize } from './normalize.ts';
import { reduce } from './reduce.ts';

export const kernels: KernelTable = {
  ...activation,
  ...elementwise,
  ...gather,
  ...layout,
  ...matmul,
  ...normalize,
  ...reduce,
};

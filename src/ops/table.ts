/** Every operator that kdx emits. Total over the signatures: an operator without an entry does not compile. */
import { activation } from './activation.ts';
import { elementwise } from './elementwise.ts';
import type { OpTable } from './entry.ts';
import { gather } from './gather.ts';
import { layout } from './layout.ts';
import { matmul } from './matmul.ts';
import { normalize } from './normalize.ts';
import { reduce } from './reduce.ts';

export const ops: OpTable = {
  ...activation,
  ...elementwise,
  ...gather,
  ...layout,
  ...matmul,
  ...normalize,
  ...reduce,
};

/** The commands of this plugin, by name. */
import { Augment } from './augment.ts';
import { Compare } from './compare.ts';
import { Distill } from './distill.ts';
import { Eval } from './eval.ts';
import { Finetune } from './finetune.ts';

export const commands = { augment: Augment, compare: Compare, distill: Distill, eval: Eval, finetune: Finetune };

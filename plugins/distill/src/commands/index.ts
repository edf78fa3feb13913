/** The commands of this plugin, by name. */
import { Distill } from './distill.ts';
import { Eval } from './eval.ts';
import { Finetune } from './finetune.ts';

export const commands = { distill: Distill, eval: Eval, finetune: Finetune };

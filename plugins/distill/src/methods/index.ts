/** All methods by name. A new one is a file beside this and a line here. */
import { cosine } from './cosine.ts';
import { distilbert } from './distilbert.ts';
import { kd } from './kd.ts';
import { label } from './label.ts';
import type { Method } from './method.ts';
import { mixkd } from './mixkd.ts';
import { mlm } from './mlm.ts';
import { patience } from './patience.ts';
import { prediction } from './prediction.ts';
import { transformer } from './tinybert.ts';

export const methods = { label, kd, patience, transformer, prediction, cosine, mixkd, mlm, distilbert };

export type MethodName = keyof typeof methods;

/** The method of a loss in a recipe, to be called with the options of that loss. */
export function methodNamed(name: MethodName): Method<never> {
  return methods[name] as unknown as Method<never>;
}

/** The commands of this plugin, by name. */
import { Export } from './export.ts';
import { Fold } from './fold.ts';
import { Quantize } from './quantize.ts';

export const commands = { export: Export, fold: Fold, quantize: Quantize };

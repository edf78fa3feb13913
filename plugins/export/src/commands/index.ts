/** The commands of this plugin, by name. */
import { Export } from './export.ts';
import { Quantize } from './quantize.ts';

export const commands = { export: Export, quantize: Quantize };

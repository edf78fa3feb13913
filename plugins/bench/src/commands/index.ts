/** The commands of this plugin, by name. */
import { Bench } from './bench.ts';

export const commands = { bench: Bench };

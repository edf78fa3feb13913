/** The commands of this plugin, by name. */
import { Export } from './export.ts';

export const commands = { export: Export };

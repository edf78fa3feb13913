/** What a tuning found, in a line for people. */
import { significant, tunedOptionsText } from 'kdx/cli';
import type { TuningRecord } from './tuned-file.ts';

/** @param what is tuned */
export function tuningText(what: string, tuning: TuningRecord): string {
  const { finding, ratio, ci95, batch, length, options, threads } = tuning;
  const settings = [tunedOptionsText(options), `${threads} ${threads === 1 ? 'thread' : 'threads'}`];
  const found = ci95
    ? `${settings.filter((text) => text !== '').join(', ')}: ${significant(ratio)}x as fast as the default ` +
      `[${ci95.map(significant).join(', ')}]`
    : `the default options, ${finding}`;
  return `${what} on this processor: ${found} (batch ${batch}, length ${length})`;
}

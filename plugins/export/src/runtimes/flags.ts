/** The flags of `kdx export` that name runtimes. */
import { Flags } from '@oclif/core';
import { KdxError } from 'kdx/errors';
import { runtimeNames, type RuntimeName } from './check.ts';

export const runtimeFlags = {
  runtimes: Flags.custom<readonly RuntimeName[]>({
    summary: 'Where the files are checked, node or node,wasm; default: both, if onnxruntime-web is installed.',
    helpValue: 'LIST',
    parse: async (input) => parseRuntimes(input),
  })(),
};

/** @throws KdxError `invalid-usage` */
function parseRuntimes(input: string): readonly RuntimeName[] {
  const names = input.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !runtimeNames.includes(name as RuntimeName));
  const suggestions = ['--runtimes node', '--runtimes node,wasm'];
  if (unknown !== undefined)
    throw new KdxError('invalid-usage', `there is no runtime '${unknown}'; there are ${runtimeNames.join(', ')}`, {
      suggestions,
    });
  if (!names.includes('node'))
    throw new KdxError('invalid-usage', `node is always among --runtimes, found '${input}'`, { suggestions });
  return names as RuntimeName[];
}

/** The flags of `kdx export --tune`. */
import { Flags } from '@oclif/core';
import { numberFlag } from 'kdx/cli';
import { KdxError } from 'kdx/errors';
import type { TuneOptions } from './tuned-file.ts';

const helpGroup = 'TUNING';

export const tuneFlags = {
  tune: Flags.boolean({
    summary: 'Find the session options that are fastest on this machine, and keep them in kdx.json.',
    helpGroup,
  }),
  'tune-seconds': numberFlag({
    min: 1,
    summary: 'Time for the measurements of each file (default 20).',
    helpValue: 'SECONDS',
    helpGroup,
  }),
  'tune-length': Flags.integer({
    min: 3,
    summary: 'Tokens per sequence while measuring (default 128).',
    helpValue: 'N',
    helpGroup,
  }),
  'tune-batch': Flags.integer({
    min: 1,
    summary: 'Sequences per run while measuring (default 1).',
    helpValue: 'N',
    helpGroup,
  }),
};

interface TuneFlagValues {
  readonly tune: boolean;
  readonly 'tune-seconds'?: number | undefined;
  readonly 'tune-length'?: number | undefined;
  readonly 'tune-batch'?: number | undefined;
  readonly threads?: number | undefined;
  readonly unshare: boolean;
}

/** Undefined without --tune. @throws KdxError `invalid-usage` */
export function tuneOptions(flags: TuneFlagValues): TuneOptions | undefined {
  const { tune, threads, unshare, 'tune-seconds': seconds, 'tune-length': length, 'tune-batch': batch } = flags;
  if (!tune) {
    const given = Object.entries({ '--tune-seconds': seconds, '--tune-length': length, '--tune-batch': batch });
    const [stray] = given.find(([, value]) => value !== undefined) ?? [];
    if (stray !== undefined) throw new KdxError('invalid-usage', `${stray} is for --tune`, { suggestions: ['--tune'] });
    return undefined;
  }
  if (unshare) throw new KdxError('invalid-usage', '--unshare writes no ONNX, so it goes without --tune');
  return {
    ...(seconds !== undefined && { seconds }),
    ...(length !== undefined && { length }),
    ...(batch !== undefined && { batch }),
    ...(threads !== undefined && { threads }),
  };
}

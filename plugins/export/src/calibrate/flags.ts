/** The flags that say which sentences a scheme that looks at activations sees. */
import { Flags } from '@oclif/core';
import { KdxError } from 'kdx/errors';
import { quantizers } from '../quantize/quantizers.ts';
import type { CalibrationText } from '../calibration.ts';

export const calibrateFlags = {
  calibrate: Flags.string({
    summary:
      'Sentences for int8-static, which needs them, and int8: a text file, one a line (of a pair, with a tab between), or a GLUE folder with --task, whose training sentences are taken.',
    helpValue: 'FILE|DIR',
    helpGroup: 'CALIBRATION',
  }),
  'calibrate-sentences': Flags.integer({
    min: 1,
    default: 256,
    summary: 'How many of the sentences are taken.',
    helpValue: 'N',
    helpGroup: 'CALIBRATION',
  }),
};

/** @throws KdxError `invalid-usage`: --calibrate with a scheme that looks at no activations */
export function checkCalibrates(scheme: string): void {
  const able = quantizers.filter(({ calibration }) => calibration !== undefined).map(({ name }) => name);
  if (able.includes(scheme)) return;
  throw new KdxError('invalid-usage', `--calibrate is for ${able.join(' and ')}, not for ${scheme}`, {
    suggestions: able.map((name) => `--${scheme === 'none' ? 'quantize' : 'scheme'} ${name}`),
  });
}

interface CalibrateFlagValues {
  readonly calibrate?: string | undefined;
  readonly 'calibrate-sentences': number;
  readonly task?: string | undefined;
}

/**
 * @param otherwise the folder to read without --calibrate
 * @throws KdxError of readSentences
 */
export async function calibrationTexts(
  { calibrate, 'calibrate-sentences': count, task }: CalibrateFlagValues,
  otherwise?: string,
): Promise<readonly CalibrationText[] | undefined> {
  const path = calibrate ?? otherwise;
  if (path === undefined) return undefined;
  const { readSentences } = await import('./sentences.ts');
  return readSentences(path, { task, count });
}

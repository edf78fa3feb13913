/** Dropout masks: drawn on the host from the seed, the step and the site, so that a resumed run draws the same. */
import { randomStream } from '../data/index.ts';
import type { Tensor } from '../graph/index.ts';
import type { DropoutSite } from './step.ts';

/** @param position step and, with gradient accumulation, batch within it */
export function drawMasks(
  sites: readonly DropoutSite[],
  seed: number,
  position: readonly number[],
): Record<string, Tensor<'bool'>> {
  const random = randomStream(seed, 'dropout', ...position);
  return Object.fromEntries(
    sites.map(({ name, keep, count, dims }) => {
      const data = new Uint8Array(count);
      random.fillBernoulli(data, keep);
      return [name, { dtype: 'bool', dims, data }];
    }),
  );
}

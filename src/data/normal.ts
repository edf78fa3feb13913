/** Normal random numbers. */
import { internal } from '../errors/index.ts';
import type { Random } from './random.ts';

/** Draws from N(0, 1): the transform of Box and Muller, two uniform numbers for each. */
export function normalSource(random: Random): () => number {
  return () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.nextFloat()));
    const value = radius * Math.cos(2 * Math.PI * random.nextFloat());
    if (!Number.isFinite(value)) throw internal('a normal draw is not finite');
    return value;
  };
}

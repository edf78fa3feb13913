/** Random numbers of the symmetric beta distribution. */
import { internal } from '../errors/index.ts';
import { normalSource } from './normal.ts';
import type { Random } from './random.ts';

/**
 * Draws from Beta(alpha, alpha) on [0, 1]; alpha 0 gives 1 always. X/(X+Y) with two draws of Gamma(alpha), taken in
 * log space: for a small alpha both underflow to 0. With Gamma(a) = Gamma(a+1)·U^(1/a) for a below 1, the difference
 * of log U is divided, so that no alpha above 0 gives ∞ - ∞.
 */
export function betaSource(random: Random, alpha: number): () => number {
  if (!(alpha >= 0 && alpha < Infinity)) throw internal(`no Beta(${alpha}, ${alpha})`);
  if (alpha === 0) return () => 1;
  const boosted = alpha < 1;
  const logGamma = logGammaSource(random, boosted ? alpha + 1 : alpha);
  const logUniform = () => Math.log(1 - random.nextFloat());
  return () => {
    const gammas = logGamma() - logGamma();
    const uniforms = boosted ? (logUniform() - logUniform()) / alpha : 0;
    return 1 / (1 + Math.exp(-(gammas + uniforms)));
  };
}

/** Draws of log X, X of Gamma(shape) with shape at least 1 (Marsaglia & Tsang 2000, ACM TOMS 26, 363-372). */
function logGammaSource(random: Random, shape: number): () => number {
  const normal = normalSource(random);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  return () => {
    for (;;) {
      const x = normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - random.nextFloat()) < (x * x) / 2 + d - d * v + d * Math.log(v))
        return Math.log(d) + Math.log(v);
    }
  };
}

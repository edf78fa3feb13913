/** Tuned session options in words. */
import type { TunedOptions } from '../classifier/index.ts';

/** "SkipLayerNormFusion off, optimization extended, prepacking off"; empty for the defaults. */
export function tunedOptionsText({ disabledOptimizers = [], ...others }: TunedOptions): string {
  const value = (given: string | boolean) => (typeof given === 'string' ? given : given ? 'on' : 'off');
  return [
    ...disabledOptimizers.map((name) => `${name} off`),
    ...Object.entries(others).map(([name, given]) => `${name} ${value(given)}`),
  ].join(', ');
}

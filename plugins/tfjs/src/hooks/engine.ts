/** Offers the engine to `--engine tfjs`. */
import type { EngineHook } from 'kdx/cli';

export const engine: EngineHook = async ({ name, device, threads }) => {
  if (name !== 'tfjs') return undefined;
  const { tfjsEngine } = await import('../open.ts');
  return tfjsEngine({ device, ...(threads !== undefined && { threads }) });
};

/** From the device flags of a command to an engine, for as long as the work takes. */
import type { Engine, OpenOptions } from '../engine/index.ts';

/** Values of `deviceFlags`. */
export interface DeviceFlagValues {
  readonly device: NonNullable<OpenOptions['device']>;
  readonly threads?: number | undefined;
}

/** Opens the engine, and closes it however the work ends. */
export async function withEngine<R>(
  { device, threads }: DeviceFlagValues,
  work: (engine: Engine) => Promise<R>,
): Promise<R> {
  const { openEngine } = await import('../engine/index.ts');
  const engine = await openEngine({ device, ...(threads !== undefined && { threads }) });
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

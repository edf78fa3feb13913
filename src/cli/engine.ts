/** From the device flags of a command to an engine, for as long as the work takes. */
import { KdxError } from '../errors/index.ts';
import type { Engine, OpenOptions } from '../engine/index.ts';
import type { EngineRequest, HookRunner, KdxHooks } from './hooks.ts';

/** Values of `deviceFlags`, and who is asked for an engine that is not ONNX Runtime. */
export interface DeviceFlagValues {
  readonly device: NonNullable<OpenOptions['device']>;
  /** Default `ort`. */
  readonly engine?: 'ort' | EngineRequest['name'] | undefined;
  readonly threads?: number | undefined;
  /** The command's, with its plugins. */
  readonly config?: HookRunner;
}

/** Opens the engine, and closes it however the work ends. @throws KdxError `engine-missing` */
export async function withEngine<R>(
  { device, engine: name = 'ort', threads, config }: DeviceFlagValues,
  work: (engine: Engine) => Promise<R>,
): Promise<R> {
  const options = { device, ...(threads !== undefined && { threads }) };
  const engine = name === 'ort' ? await openOrt(options) : await offeredEngine({ name, ...options }, config);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

async function openOrt(options: OpenOptions): Promise<Engine> {
  const { openEngine } = await import('../engine/index.ts');
  return openEngine(options);
}

/** The engine of the plugin that has one by this name. */
async function offeredEngine(request: EngineRequest, config: HookRunner | undefined): Promise<Engine> {
  const answers = await config?.runHook<'kdx:engine', KdxHooks>('kdx:engine', request);
  const [failure] = answers?.failures ?? [];
  if (failure) throw failure.error;
  const engine = answers?.successes.map(({ result }) => result).find((result) => result !== undefined);
  if (engine) return engine;
  throw new KdxError('engine-missing', `no plugin offers the engine '${request.name}'`, {
    suggestions: [`npm install @kdx/${request.name}`, '--engine ort'],
  });
}

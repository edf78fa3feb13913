/** From the device flags of a command to an engine, for as long as the work takes. */
import { KdxError } from '../errors/index.ts';
import type { Engine, OpenOptions } from '../engine/index.ts';
import { parseDevice, type DeviceName } from './device-flag.ts';
import type { EngineRequest, HookRunner, KdxHooks } from './hooks.ts';

/** Values of `deviceFlags`, and who is asked for an engine that is not ONNX Runtime. */
export interface DeviceFlagValues {
  readonly device: DeviceName;
  readonly tf32?: boolean | undefined;
  /** Default `ort`. */
  readonly engine?: 'ort' | EngineRequest['name'] | undefined;
  readonly threads?: number | undefined;
  /** The command's, with its plugins. */
  readonly config?: HookRunner;
}

type Choice = ReturnType<typeof parseDevice> & Pick<OpenOptions, 'threads'>;

/** Opens the engine, and closes it however the work ends. @throws KdxError `engine-missing`, `invalid-usage` */
export async function withEngine<R>(
  { device, tf32, engine: name = 'ort', threads, config }: DeviceFlagValues,
  work: (engine: Engine) => Promise<R>,
): Promise<R> {
  const choice = { ...parseDevice(device), ...(threads !== undefined && { threads }) };
  const engine =
    name === 'ort'
      ? await openOrt({ ...choice, ...(tf32 !== undefined && { tf32 }) })
      : await offeredEngine(requestOf(name, choice), config);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

/** Other engines take the first device of a kind. @throws KdxError `invalid-usage` */
function requestOf(name: EngineRequest['name'], { index, ...choice }: Choice): EngineRequest {
  if (index === undefined) return { name, ...choice };
  throw new KdxError('invalid-usage', `--engine ${name} takes no number of a device`, {
    suggestions: [`--device ${choice.device}`, '--engine ort'],
  });
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

/** Engine on ONNX Runtime: how a model gets there, and what its errors mean. */
import { deviceError } from './device-errors.ts';
import type { OrtReady, OrtSource, SessionSettings } from './driver.ts';
import type { DeviceInfo, Engine, SessionOptions } from './engine.ts';
import type { Host } from './host.ts';
import { hostedEngine, loadError } from './hosted-engine.ts';
import { withSource } from './model-source.ts';

export function ortEngine(name: string, device: DeviceInfo, host: Host<OrtSource, OrtReady>): Engine {
  const explain = (what: string, error: unknown) => deviceError(device, what, error);
  return hostedEngine({
    name,
    device,
    host,
    explain,
    load: (model, options, create) =>
      withSource(model, async (source) => {
        const give = typeof source === 'string' ? [] : [source.buffer];
        try {
          return await create([source, settingsOf(options, device.threads)], give);
        } catch (error) {
          const subject = { name: options.name, isFile: typeof model === 'string' };
          throw explain(options.name, error) ?? loadError('ONNX Runtime', subject, error);
        }
      }),
  });
}

function settingsOf(options: SessionOptions & { readonly name: string }, threads: number): SessionSettings {
  return {
    name: options.name,
    inPlace: options.inPlace ?? false,
    optimization: options.optimization ?? 'all',
    disabledOptimizers: options.disabledOptimizers ?? [],
    memoryPattern: options.memoryPattern ?? false,
    spinning: options.spinning ?? false,
    prepacking: options.prepacking ?? true,
    threads: options.threads ?? threads,
    cpuFallback: options.cpuFallback ?? true,
    optimizedModelPath: options.optimizedModelPath,
  };
}

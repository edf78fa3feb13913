/** Engine on TensorFlow.js: how a model gets there. */
import { resolve } from 'node:path';
import { hostedEngine, loadError, type DeviceInfo, type Engine, type Host } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { readModel } from 'kdx/onnx';
import type { TfjsSource } from './driver.ts';

export function engineOn(host: Host<TfjsSource, unknown>, name: string, device: DeviceInfo): Engine {
  return hostedEngine({
    name,
    device,
    host,
    async load(model, options, create) {
      if (options.optimizedModelPath !== undefined)
        throw new KdxError('unsupported-option', 'TensorFlow.js runs graphs as they are: it has no optimized graph');
      const isFile = typeof model === 'string';
      try {
        const { graph, opsets } = isFile ? await readModel(resolve(model)) : model;
        return await create([graph, opsets[''] ?? 0]);
      } catch (error) {
        throw loadError('TensorFlow.js', { name: options.name, isFile }, refusal(error), ['--engine ort']);
      }
    },
  });
}

/** What `readModel` says of a file that is there, but is no model that can be run. */
const invalid: readonly string[] = ['corrupt-onnx', 'invalid-graph', 'unsupported-onnx'];

/** As if TensorFlow.js had refused the model. */
function refusal(error: unknown): unknown {
  const isInvalid = error instanceof KdxError && invalid.includes(error.code);
  return isInvalid ? new Error(error.message, { cause: error }) : error;
}

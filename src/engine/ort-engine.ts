/** Engine on ONNX Runtime: names, checks and numbers here, the work in the worker. */
import { internal, KdxError } from '../errors/index.ts';
import { allocate, elementCount, storageLength, type Model, type Tensor } from '../graph/index.ts';
import { deviceError } from './device-errors.ts';
import type { SessionSettings } from './driver.ts';
import type { DeviceInfo, Engine, RunRequest, Session, SessionOptions, Variable } from './engine.ts';
import type { Host } from './host.ts';
import { withSource } from './model-source.ts';
import { checkedCall } from './request.ts';

/** Every call takes effect in the order of the calls, across sessions too: the worker does one after the other. */
export function ortEngine(name: string, device: DeviceInfo, host: Host): Engine {
  const variables = new Map<number, Variable>();
  let count = 0;
  const isLive = (variable: Variable) => variables.get(variable.id) === variable;
  const idsOf = (chosen: readonly Variable[]) => {
    const dead = chosen.find((variable) => !isLive(variable));
    if (dead) throw internal(`variable ${dead.id} is freed, or belongs to another engine`);
    return chosen.map((variable) => variable.id);
  };

  const put = (ids: readonly number[], copies: readonly Tensor[]) =>
    host.call('put', [ids, copies], memoryOf(copies)).catch((error: unknown) => {
      throw deviceError(device.kind, 'parameters and optimizer state', error) ?? error;
    });

  const createSession = async (model: Model | string, options: SessionOptions = {}): Promise<Session> => {
    const id = ++count;
    const settings = settingsOf(model, options, device.threads);
    const signature = await withSource(model, async (source) => {
      const give = typeof source === 'string' ? [] : [source.buffer];
      try {
        return await host.call('createSession', [id, source, settings], give);
      } catch (error) {
        throw (
          deviceError(device.kind, settings.name, error) ?? loadError(settings.name, error, typeof model === 'string')
        );
      }
    });
    let released: Promise<void> | undefined;
    /** Closing the engine releases its sessions too. */
    const release = async () => {
      if (host.closed) return;
      await host.call('releaseSession', [id]).catch((error: unknown) => {
        if (!host.closed) throw error;
      });
    };
    return {
      inputs: signature.inputs.map((input) => input.name),
      outputs: signature.outputs.map((output) => output.name),
      async run(request: RunRequest) {
        if (released) throw internal(`run of session ${settings.name} after its release`);
        const call = checkedCall(id, settings.name, signature, request, isLive);
        const feeds = call.feeds.map(
          ([key, value]) => [key, typeof value === 'number' ? value : ownCopy(value)] as const,
        );
        const results = await host
          .call('run', [{ ...call, feeds }], memoryOf(feeds.map(([, value]) => value)))
          .catch((error: unknown) => {
            throw deviceError(device.kind, settings.name, error) ?? runError(settings.name, error);
          });
        return Object.fromEntries(call.fetch.map((key, i) => [key, results[i] as Tensor]));
      },
      release: () => (released ??= release()),
    };
  };

  const storeAll = async (values: readonly Tensor[]): Promise<Variable[]> => {
    for (const value of values) checkLength(value);
    const created = values.map(({ dtype, dims }): Variable => ({ id: ++count, dtype, dims: [...dims] }));
    const copies = values.map(ownCopy);
    await put(
      created.map((variable) => variable.id),
      copies,
    );
    for (const variable of created) variables.set(variable.id, variable);
    return created;
  };

  return {
    name,
    device,
    createSession,
    storeAll,
    store: async (value) => (await storeAll([value]))[0] as Variable,
    read: async (chosen) => host.call('get', [idsOf(chosen)]),
    async write(chosen, values) {
      const ids = idsOf(chosen);
      if (values.length !== ids.length) throw internal(`${values.length} tensors for ${ids.length} variables`);
      chosen.forEach((variable, i) => checkSame(variable, values[i] as Tensor));
      const copies = values.map(ownCopy);
      await put(ids, copies);
    },
    async free(chosen) {
      const ids = idsOf(chosen);
      for (const id of ids) variables.delete(id);
      await host.call('drop', [ids]);
    },
    close: () => host.close(),
  };
}

function settingsOf(model: Model | string, options: SessionOptions, threads: number): SessionSettings {
  return {
    name: options.name ?? (typeof model === 'string' ? model : model.graph.name),
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

/** A copy whose memory can be given away, whatever the array is a view of. */
function ownCopy(value: Tensor): Tensor {
  if (value.dtype === 'string') throw internal('string tensors cannot be fed');
  // Not `slice`, which gives a Buffer's memory away with everything else in its pool.
  const data = allocate(value.dtype as 'float32', elementCount(value.dims));
  data.set(value.data as Float32Array);
  return { dtype: value.dtype, dims: [...value.dims], data };
}

function memoryOf(values: readonly (Tensor | number)[]): ArrayBuffer[] {
  return values.flatMap((value) =>
    typeof value === 'number' ? [] : [(value.data as Uint8Array).buffer as ArrayBuffer],
  );
}

function checkLength({ dtype, dims, data }: Tensor): void {
  const expected = storageLength(dtype, elementCount(dims));
  if (data.length !== expected)
    throw internal(`${dtype} tensor [${dims.join(',')}] needs ${expected} elements, got ${data.length}`);
}

function checkSame(variable: Variable, value: Tensor): void {
  checkLength(value);
  if (variable.dtype !== value.dtype || variable.dims.join() !== value.dims.join())
    throw internal(
      `variable ${variable.id} is ${variable.dtype} [${variable.dims.join(',')}], got ${value.dtype} [${value.dims.join(',')}]`,
    );
}

/** A file is the user's, a model in memory was built here. */
function loadError(name: string, error: unknown, isFile: boolean): unknown {
  if (!isNative(error)) return error;
  if (!isFile) return new Error(`internal: ONNX Runtime cannot load ${name}: ${error.message}`, { cause: error });
  return new KdxError('invalid-model', `ONNX Runtime cannot load ${name}: ${error.message}`, { cause: error });
}

function runError(name: string, error: unknown): unknown {
  return isNative(error) ? new Error(`internal: run of session ${name}: ${error.message}`, { cause: error }) : error;
}

/** Whether an error came from ONNX Runtime, and not from our own checks. */
function isNative(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof KdxError) && !error.message.startsWith('internal: ');
}

/** Engine on TensorFlow.js: names, checks and numbers here, the work in the worker. */
import { resolve } from 'node:path';
import type { DeviceInfo, Engine, RunRequest, Session, SessionOptions, Variable } from 'kdx/engine';
import { internal, KdxError } from 'kdx/errors';
import { allocate, elementCount, type Model, type Tensor } from 'kdx/graph';
import { readModel } from 'kdx/onnx';
import type { Host } from './host.ts';
import { checkedCall } from './request.ts';

/** Every call takes effect in the order of the calls, across sessions too: the worker does one after the other. */
export function engineOn(host: Host, name: string, device: DeviceInfo): Engine {
  const variables = new Map<number, Variable>();
  let count = 0;
  const isLive = (variable: Variable) => variables.get(variable.id) === variable;
  const idsOf = (chosen: readonly Variable[]) => {
    const dead = chosen.find((variable) => !isLive(variable));
    if (dead) throw internal(`variable ${dead.id} is freed, or belongs to another engine`);
    return chosen.map((variable) => variable.id);
  };

  const createSession = async (source: Model | string, options: SessionOptions = {}): Promise<Session> => {
    if (options.optimizedModelPath !== undefined)
      throw new KdxError('unsupported-option', 'TensorFlow.js runs graphs as they are: it has no optimized graph');
    const isFile = typeof source === 'string';
    const title = options.name ?? (isFile ? source : source.graph.name);
    const refused = (error: Error) => (host.closed ? error : loadError(title, error, isFile));
    const id = ++count;
    const model = isFile
      ? await readModel(resolve(source)).catch((error: Error) => Promise.reject(refused(error)))
      : source;
    const { graph } = model;
    await host
      .call('createSession', [id, graph, model.opsets[''] ?? 0])
      .catch((error: Error) => Promise.reject(refused(error)));
    let released: Promise<void> | undefined;
    /** Closing the engine releases its sessions too. */
    const release = async () => {
      if (host.closed) return;
      await host.call('releaseSession', [id]).catch((error: unknown) => {
        if (!host.closed) throw error;
      });
    };
    return {
      inputs: graph.inputs.map((input) => input.name),
      outputs: graph.outputs.map((output) => output.name),
      async run(request: RunRequest) {
        if (released) throw internal(`run of session ${title} after its release`);
        const call = checkedCall(id, title, graph, request, isLive);
        const feeds = call.feeds.map(
          ([key, value]) => [key, typeof value === 'number' ? value : ownCopy(value)] as const,
        );
        const given = feeds.flatMap(([, value]) => (typeof value === 'number' ? [] : [value]));
        const results = await host.call('run', [{ ...call, feeds }], memoryOf(given)).catch((error: Error) => {
          throw error instanceof KdxError || host.closed
            ? error
            : new Error(`internal: run of session ${title}: ${error.message}`, { cause: error });
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
    await host.call('put', [created.map((variable) => variable.id), copies], memoryOf(copies));
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
      await host.call('put', [ids, copies], memoryOf(copies));
    },
    async free(chosen) {
      const ids = idsOf(chosen);
      for (const id of ids) variables.delete(id);
      await host.call('drop', [ids]);
    },
    close: () => host.close(),
  };
}

/** A copy whose memory can be given away, whatever the array is a view of. */
function ownCopy(value: Tensor): Tensor {
  if (value.dtype === 'string') throw internal('string tensors cannot be fed');
  const data = allocate(value.dtype as 'float32', elementCount(value.dims));
  data.set(value.data as Float32Array);
  return { dtype: value.dtype, dims: [...value.dims], data };
}

function memoryOf(values: readonly Tensor[]): ArrayBuffer[] {
  return values.map((value) => (value.data as Uint8Array).buffer as ArrayBuffer);
}

function checkLength({ dtype, dims, data }: Tensor): void {
  const expected = elementCount(dims);
  if (data.length !== expected)
    throw internal(`${dtype} tensor [${dims.join(',')}] needs ${expected} elements, got ${data.length}`);
}

function checkSame(variable: Variable, value: Tensor): void {
  checkLength(value);
  const print = ({ dtype, dims }: Pick<Tensor, 'dtype' | 'dims'>) => `${dtype} [${dims.join(',')}]`;
  if (print(variable) !== print(value))
    throw internal(`variable ${variable.id} is ${print(variable)}, got ${print(value)}`);
}

/** What `readModel` says of a file that is there, but is no model that can be run. */
const invalid: readonly string[] = ['corrupt-onnx', 'invalid-graph', 'unsupported-onnx'];

/** A file is the user's, a model in memory was built here. */
function loadError(name: string, error: Error, isFile: boolean): Error {
  if (error instanceof KdxError && !invalid.includes(error.code)) return error;
  const message = `TensorFlow.js cannot load ${name}: ${error.message}`;
  if (!isFile) return new Error(`internal: ${message}`, { cause: error });
  return new KdxError('invalid-model', message, { suggestions: ['--engine ort'], cause: error });
}

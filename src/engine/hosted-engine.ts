/** Engine over a host: names, checks and numbers here, the work in the worker. */
import { internal, KdxError } from '../errors/index.ts';
import { allocate, elementCount, storageLength, type Model, type Tensor } from '../graph/index.ts';
import type { DeviceInfo, Engine, RunRequest, Session, SessionOptions, Variable } from './engine.ts';
import type { Host } from './host.ts';
import type { Signature } from './protocol.ts';
import { checkedCall } from './request.ts';

/** What one engine has and another has not. */
export interface EngineParts<Source extends readonly unknown[]> {
  readonly name: string;
  readonly device: DeviceInfo;
  readonly host: Host<Source, unknown>;
  /**
   * Calls `create` with what the driver makes a session of. Memory in `give` is moved there.
   * @throws KdxError for what the user can change, else the error as `loadError` has it
   */
  load(
    model: Model | string,
    options: SessionOptions & { readonly name: string },
    create: (source: Source, give?: readonly ArrayBuffer[]) => Promise<Signature>,
  ): Promise<Signature>;
  /** What a user can do about an error of the driver; `what` was being run or stored. */
  explain?(what: string, error: unknown): KdxError | undefined;
}

/** Every call takes effect in the order of the calls, across sessions too: the worker does one after the other. */
export function hostedEngine<Source extends readonly unknown[]>(parts: EngineParts<Source>): Engine {
  const { name, device, host } = parts;
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
      throw parts.explain?.('parameters and optimizer state', error) ?? error;
    });

  const createSession = async (model: Model | string, options: SessionOptions = {}): Promise<Session> => {
    const id = ++count;
    const title = options.name ?? (typeof model === 'string' ? model : model.graph.name);
    const signature = await parts.load(model, { ...options, name: title }, (source, give) =>
      host.call('createSession', [id, ...source], give),
    );
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
        if (released) throw internal(`run of session ${title} after its release`);
        const call = checkedCall(id, title, signature, request, isLive);
        const feeds = call.feeds.map(
          ([key, value]) => [key, typeof value === 'number' ? value : ownCopy(value)] as const,
        );
        const results = await host
          .call('run', [{ ...call, feeds }], memoryOf(feeds.map(([, value]) => value)))
          .catch((error: unknown) => {
            throw parts.explain?.(title, error) ?? runError(title, error);
          });
        return Object.fromEntries(call.fetch.map((key, i) => [key, results[i] as Tensor]));
      },
      release: () => (released ??= release()),
    };
  };

  const storeOwn = async (values: readonly Tensor[], own: (value: Tensor) => Tensor): Promise<Variable[]> => {
    for (const value of values) checkLength(value);
    const created = values.map(({ dtype, dims }): Variable => ({ id: ++count, dtype, dims: [...dims] }));
    await put(
      created.map((variable) => variable.id),
      values.map(own),
    );
    for (const variable of created) variables.set(variable.id, variable);
    return created;
  };

  return {
    name,
    device,
    createSession,
    storeAll: (values) => storeOwn(values, ownCopy),
    store: async (value) => (await storeOwn([value], ownCopy))[0] as Variable,
    adopt: async (value) => (await storeOwn([value], adopted))[0] as Variable,
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

/**
 * The error of a model that a runtime refuses: a file is the user's, a model in memory was built by kdx.
 * @param runtime its name, for the message
 * @returns KdxError `invalid-model`, or an internal error; errors that do not come from the runtime as they are
 */
export function loadError(
  runtime: string,
  { name, isFile }: { readonly name: string; readonly isFile: boolean },
  error: unknown,
  suggestions: readonly string[] = [],
): unknown {
  if (!isOfRuntime(error)) return error;
  const message = `${runtime} cannot load ${name}: ${error.message}`;
  if (!isFile) return new Error(`internal: ${message}`, { cause: error });
  return new KdxError('invalid-model', message, { suggestions, cause: error });
}

function runError(name: string, error: unknown): unknown {
  return isOfRuntime(error) ? new Error(`internal: run of session ${name}: ${error.message}`, { cause: error }) : error;
}

/** Whether an error came from the runtime, and not from our own checks. */
function isOfRuntime(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof KdxError) && !error.message.startsWith('internal: ');
}

/** The tensor itself if its memory can be given away: it holds nothing else. */
function adopted(value: Tensor): Tensor {
  const { buffer, byteLength } = value.data as Uint8Array;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? value : ownCopy(value);
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
  const print = ({ dtype, dims }: Pick<Tensor, 'dtype' | 'dims'>) => `${dtype} [${dims.join(',')}]`;
  if (print(variable) !== print(value))
    throw internal(`variable ${variable.id} is ${print(variable)}, got ${print(value)}`);
}

/** The driver over onnxruntime-node: what is left when the C API cannot be called. The binding copies every output once. */
import { InferenceSession, Tensor as OrtTensor, env } from 'onnxruntime-node';
import { internal } from '../errors/index.ts';
import type { Tensor, ValueInfo } from '../graph/index.ts';
import { flushesDenormals } from './denormals.ts';
import type { Driver, SessionSettings } from './driver.ts';

const LOG_FATAL = 4;
/** Element types that the binding takes as inputs and outputs. */
const dtypes: ReadonlySet<string> = new Set([
  'float32',
  'float64',
  'float16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
]);

export function openBindingDriver(): Driver {
  env.logLevel = 'fatal';
  const sessions = new Map<number, InferenceSession>();
  const variables = new Map<number, OrtTensor>();
  const find = <T>(map: ReadonlyMap<number, T>, id: number, kind: string): T => {
    const found = map.get(id);
    if (found === undefined) throw internal(`there is no ${kind} ${id}`);
    return found;
  };
  const releaseSession = async (id: number) => {
    const session = find(sessions, id, 'session');
    sessions.delete(id);
    await session.release();
  };
  return {
    async createSession(id, model, settings) {
      const options = optionsOf(settings);
      const session = await (typeof model === 'string'
        ? InferenceSession.create(model, options)
        : InferenceSession.create(model, options));
      sessions.set(id, session);
      return { inputs: session.inputMetadata.map(infoOf), outputs: session.outputMetadata.map(infoOf) };
    },
    async run({ session, feeds, fetch, assign }) {
      const inputs: Record<string, OrtTensor> = {};
      for (const [name, value] of feeds)
        inputs[name] = typeof value === 'number' ? find(variables, value, 'variable') : ortTensorOf(value);
      const outputs = [...new Set([...assign.map(([name]) => name), ...fetch])];
      const results = await find(sessions, session, 'session').run(inputs, outputs);
      for (const [name, id] of assign) variables.set(id, results[name] as OrtTensor);
      const assigned = new Set(assign.map(([name]) => name));
      return fetch.map((name) => tensorOf(results[name] as OrtTensor, assigned.has(name)));
    },
    releaseSession,
    put(ids, values) {
      ids.forEach((id, i) => variables.set(id, ortTensorOf(values[i] as Tensor)));
    },
    get: (ids) => ids.map((id) => tensorOf(find(variables, id, 'variable'), true)),
    drop(ids) {
      for (const id of ids) variables.delete(id);
    },
    async close() {
      for (const id of [...sessions.keys()]) await releaseSession(id);
      variables.clear();
    },
  };
}

function optionsOf(settings: SessionSettings): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    intraOpNumThreads: settings.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: settings.optimization,
    enableMemPattern: settings.memoryPattern,
    logSeverityLevel: LOG_FATAL,
    logId: settings.name,
    ...(settings.optimizedModelPath === undefined ? {} : { optimizedModelFilePath: settings.optimizedModelPath }),
    extra: {
      session: {
        set_denormal_as_zero: (settings.flushDenormals ?? flushesDenormals()) ? '1' : '0',
        intra_op: { allow_spinning: '0' },
      },
      optimization: { disable_specified_optimizers: settings.disabledOptimizers.join(';') },
    },
  };
}

/** Rank 0 may mean that nothing is known of the shape. */
function infoOf(metadata: InferenceSession.ValueMetadata): ValueInfo {
  if (!metadata.isTensor) throw new Error(`${metadata.name} is not a tensor`);
  if (!dtypes.has(metadata.type)) throw new Error(`${metadata.type} is not supported as an input or output`);
  return {
    name: metadata.name,
    dtype: metadata.type,
    shape: metadata.shape.length > 0 ? metadata.shape : undefined,
  };
}

function ortTensorOf({ dtype, dims, data }: Tensor): OrtTensor {
  if (!dtypes.has(dtype)) throw internal(`${dtype} tensors cannot be fed or fetched`);
  return new OrtTensor(dtype as 'float32', data as Float32Array, dims);
}

/** Reads `data`, never `getData()`, which ends the process for a tensor on a GPU (spec/engine.md, section 1). */
function tensorOf(value: OrtTensor, copy: boolean): Tensor {
  let data = value.data as Uint8Array;
  if (copy) data = data.slice();
  // Newer versions of Node give float16 as a Float16Array.
  if (value.type === 'float16') data = new Uint16Array(data.buffer, data.byteOffset, data.length) as never;
  return { dtype: value.type, dims: [...value.dims], data };
}

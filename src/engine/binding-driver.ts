/** The driver over onnxruntime-node: what is left when the C API cannot be called. The binding copies every output once. */
import { InferenceSession, Tensor as OrtTensor, env } from 'onnxruntime-node';
import { internal } from '../errors/index.ts';
import type { Tensor, ValueInfo } from '../graph/index.ts';
import { flushesDenormals } from './denormals.ts';
import { nodeSessionOptions } from './node-options.ts';
import type { GpuData, OrtDriver, SessionSettings } from './driver.ts';
import { onGpu, openGpuTensors, outputLocations, type OutputLocation } from './webgpu-tensors.ts';

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

/** @param gpu compute by WebGPU, and keep variables there; default: on the CPU */
export function openBindingDriver(gpu?: GpuData): OrtDriver {
  env.logLevel = 'fatal';
  keepFloat16Raw();
  const sessions = new Map<number, InferenceSession>();
  const variables = new Map<number, OrtTensor>();
  /** Sessions whose memory on the GPU a variable is in; memory that is freed after its session ends the process. */
  const owners = new Map<number, number>();
  const device = gpu && openGpuTensors((model, location) => newSession(model, copierOptions, location), gpu);
  const find = <T>(map: ReadonlyMap<number, T>, id: number, kind: string): T => {
    const found = map.get(id);
    if (found === undefined) throw internal(`there is no ${kind} ${id}`);
    return found;
  };
  const releaseSession = async (id: number) => {
    const session = find(sessions, id, 'session');
    for (const [variable, owner] of owners)
      if (owner === id) setVariable(variable, await moved(find(variables, variable, 'variable')));
    sessions.delete(id);
    await session.release();
  };
  const setVariable = (id: number, value: OrtTensor, owner?: number) => {
    dispose(variables.get(id));
    variables.set(id, value);
    if (owner === undefined) owners.delete(id);
    else owners.set(id, owner);
  };
  const dropVariable = (id: number) => {
    dispose(variables.get(id));
    variables.delete(id);
    owners.delete(id);
  };
  /** Into memory that stays until the driver is closed. */
  const moved = async (value: OrtTensor) => (device ? device.upload(value) : value);
  /** Values for the main thread; what is a variable stays. */
  const fetched = async (value: OrtTensor, isVariable: boolean): Promise<Tensor> => {
    const host = device ? await device.download(value) : value;
    if (host !== value && !isVariable) dispose(value);
    return tensorOf(host, isVariable && host === value);
  };
  return {
    async createSession(id, model, settings) {
      const options = optionsOf(settings, gpu !== undefined);
      const session = await (gpu ? openGpuSession(model, options) : newSession(model, options));
      sessions.set(id, session);
      return { inputs: session.inputMetadata.map(infoOf), outputs: session.outputMetadata.map(infoOf) };
    },
    async run({ session, feeds, fetch, assign }) {
      const inputs: Record<string, OrtTensor> = {};
      for (const [name, value] of feeds)
        inputs[name] = typeof value === 'number' ? find(variables, value, 'variable') : ortTensorOf(value);
      const outputs = [...new Set([...assign.map(([name]) => name), ...fetch])];
      const results = await find(sessions, session, 'session').run(inputs, outputs);
      for (const [name, id] of assign) setVariable(id, results[name] as OrtTensor, session);
      const assigned = new Set(assign.map(([name]) => name));
      return inOrder(fetch, (name) => fetched(results[name] as OrtTensor, assigned.has(name)));
    },
    releaseSession,
    async put(ids, values) {
      for (const [i, id] of ids.entries()) {
        setVariable(id, await moved(ortTensorOf(values[i] as Tensor)));
      }
    },
    get: (ids) => inOrder(ids, (id) => fetched(find(variables, id, 'variable'), true)),
    drop: (ids) => ids.forEach(dropVariable),
    async close() {
      for (const id of [...variables.keys()]) dropVariable(id);
      for (const id of [...sessions.keys()]) await releaseSession(id);
      await device?.release();
    },
  };
}

/** One after the other: the binding does not run two things at once. */
async function inOrder<A, B>(values: readonly A[], work: (value: A) => Promise<B>): Promise<B[]> {
  const results: B[] = [];
  for (const value of values) results.push(await work(value));
  return results;
}

/** Memory of a GPU is not collected; other tensors are left to the collector. */
function dispose(value: OrtTensor | undefined): void {
  if (value && onGpu(value)) value.dispose();
}

function newSession(
  model: Uint8Array | string,
  options: InferenceSession.SessionOptions,
  location?: OutputLocation,
): Promise<InferenceSession> {
  const all = { ...options, ...(location !== undefined && { preferredOutputLocation: location }) };
  return typeof model === 'string' ? InferenceSession.create(model, all) : InferenceSession.create(model, all);
}

/** Made again where an output has a type that the binding cannot leave on the GPU: only the session tells the types. */
async function openGpuSession(
  model: Uint8Array | string,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  const session = await newSession(model, options, 'gpu-buffer');
  const locations = outputLocations(session);
  if (Object.values(locations).every((location) => location === 'gpu-buffer')) return session;
  await session.release();
  return newSession(model, options, locations);
}

/** The copy is the one node of these graphs, so it must not be optimized away. */
const copierOptions: InferenceSession.SessionOptions = {
  executionProviders: ['webgpu'],
  graphOptimizationLevel: 'disabled',
  logSeverityLevel: LOG_FATAL,
};

function optionsOf(settings: SessionSettings, webgpu: boolean): InferenceSession.SessionOptions {
  const { extra, ...options } = nodeSessionOptions(settings);
  return {
    ...options,
    executionProviders: [webgpu ? 'webgpu' : 'cpu'],
    executionMode: 'sequential',
    interOpNumThreads: 1,
    logSeverityLevel: LOG_FATAL,
    logId: settings.name,
    ...(settings.optimizedModelPath === undefined ? {} : { optimizedModelFilePath: settings.optimizedModelPath }),
    extra: {
      ...extra,
      session: {
        ...(extra?.['session'] as object),
        set_denormal_as_zero: (settings.flushDenormals ?? flushesDenormals()) ? '1' : '0',
        ...(webgpu && !settings.cpuFallback && { disable_cpu_ep_fallback: '1' }),
      },
    },
  };
}

/**
 * Has float16 tensors hold a Uint16Array. In newer versions of Node they would hold a Float16Array, of which the binding
 * sees 0 bytes (onnxruntime pull request 32323). Which it is, is decided when the first tensor is made.
 */
function keepFloat16Raw(): void {
  const property = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
  if (!property) return;
  Reflect.deleteProperty(globalThis, 'Float16Array');
  new OrtTensor('float32', new Float32Array(1), [1]);
  Object.defineProperty(globalThis, 'Float16Array', property);
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
  const data = value.data as Uint8Array;
  return { dtype: value.type, dims: [...value.dims], data: copy ? data.slice() : data };
}

/** The driver over the C API: variables are bound to runs where they lie, and outputs are written where they are wanted. */
import { internal } from '../errors/index.ts';
import { allocate, byteLength, elementCount, type Dim, type Tensor, type ValueInfo } from '../graph/index.ts';
import { flushesDenormals } from './denormals.ts';
import type { Driver, SessionSettings, RunCall, Signature } from './driver.ts';
import { elementCode, elementTypeOf, NULL, type OrtApi, type Pointer } from './ort-api.ts';

/** Values of the enums in onnxruntime_c_api.h. */
const LOG_FATAL = 4;
const SEQUENTIAL = 0;
const DEVICE_ALLOCATOR = 0;
const ARENA_ALLOCATOR = 1;
const MEMORY_TYPE_DEFAULT = 0;
const optimizationLevels = { disabled: 0, basic: 1, extended: 2, all: 99 } as const;

/** Memory of this process, and the OrtValue that describes it to ONNX Runtime. */
interface Block {
  readonly tensor: Tensor;
  readonly value: Pointer;
}

interface Variable {
  current: Block;
  /** Receives the next assignment, and changes places with `current` when the run has succeeded. */
  spare?: Block;
}

interface LoadedSession {
  readonly pointer: Pointer;
  readonly signature: Signature;
  readonly outputs: ReadonlyMap<string, ValueInfo>;
  /** C strings of all input and output names. */
  readonly names: ReadonlyMap<string, Buffer>;
  readonly inPlace: boolean;
}

export interface CapiDriver extends Driver {
  readonly runOptions: Pointer;
}

export function openCapiDriver(api: OrtApi): CapiDriver {
  const environment = api.get('CreateEnv', LOG_FATAL, 'kdx');
  const memory = api.get('CreateCpuMemoryInfo', DEVICE_ALLOCATOR, MEMORY_TYPE_DEFAULT);
  // One arena for all sessions: they run one after the other, and each step graph would keep its own at full size.
  const arena = api.get('CreateCpuMemoryInfo', ARENA_ALLOCATOR, MEMORY_TYPE_DEFAULT);
  api.call('CreateAndRegisterAllocator', environment, arena, NULL);
  const runOptions = api.get('CreateRunOptions');
  const sessions = new Map<number, LoadedSession>();
  const variables = new Map<number, Variable>();

  const blockOf = (tensor: Tensor): Block => {
    const { dtype, dims, data } = tensor;
    const address = api.addressOf(data as Uint8Array);
    // Never empty: ONNX Runtime refuses the NULL that would be passed for a scalar.
    const shape = BigInt64Array.from(dims.length > 0 ? dims : [0], BigInt);
    const value = api.get(
      'CreateTensorWithDataAsOrtValue',
      memory,
      address,
      byteLength(dtype, dims),
      shape,
      dims.length,
      elementCode(dtype),
    );
    return { tensor, value };
  };
  const emptyBlock = (dtype: Tensor['dtype'], dims: readonly number[]): Block =>
    blockOf({ dtype, dims, data: allocate(dtype as 'float32', elementCount(dims)) });
  const releaseBlock = (block: Block | undefined) => block && api.release('ReleaseValue', block.value);

  const variableOf = (id: number): Variable => {
    const variable = variables.get(id);
    if (!variable) throw internal(`there is no variable ${id}`);
    return variable;
  };
  const sessionOf = (id: number): LoadedSession => {
    const session = sessions.get(id);
    if (!session) throw internal(`there is no session ${id}`);
    return session;
  };
  const dropVariable = (id: number) => {
    const variable = variableOf(id);
    releaseBlock(variable.current);
    releaseBlock(variable.spare);
    variables.delete(id);
  };
  const releaseSession = (id: number) => {
    api.release('ReleaseSession', sessionOf(id).pointer);
    sessions.delete(id);
  };

  /** Where an assigned output is written. */
  const targetOf = (session: LoadedSession, id: number): Block => {
    const variable = variableOf(id);
    if (session.inPlace) return variable.current;
    const { dtype, dims } = variable.current.tensor;
    return (variable.spare ??= emptyBlock(dtype, dims));
  };

  const run = (call: RunCall): Tensor[] => {
    const session = sessionOf(call.session);
    const temporary: Block[] = [];
    const keep = (block: Block): Block => {
      temporary.push(block);
      return block;
    };
    const targets = new Map<string, Block | undefined>();
    for (const [name, id] of call.assign) targets.set(name, targetOf(session, id));
    try {
      const inputs = call.feeds.map(([, value]) =>
        typeof value === 'number' ? variableOf(value).current : keep(blockOf(value)),
      );
      for (const name of call.fetch) {
        if (targets.has(name)) continue;
        const { dtype, shape } = session.outputs.get(name) as ValueInfo;
        targets.set(name, isStatic(shape) ? keep(emptyBlock(dtype, shape)) : undefined);
      }
      const namePointers = (names: Iterable<string>) =>
        BigUint64Array.from(names, (name) => api.addressOf(session.names.get(name) as Buffer));
      const outputs = BigUint64Array.from(targets.values(), (block) => block?.value ?? NULL);
      api.call(
        'Run',
        session.pointer,
        runOptions,
        namePointers(call.feeds.map(([name]) => name)),
        BigUint64Array.from(inputs, (block) => block.value),
        inputs.length,
        namePointers(targets.keys()),
        outputs.length,
        outputs,
      );
      const results = new Map<string, Tensor>();
      [...targets].forEach(([name, block], i) => {
        results.set(name, block ? block.tensor : takeValue(api, outputs[i] as Pointer));
      });
      if (!session.inPlace) for (const [, id] of call.assign) swap(variableOf(id));
      const assigned = new Set(call.assign.map(([name]) => name));
      return call.fetch.map((name) => {
        const result = results.get(name) as Tensor;
        return assigned.has(name) ? copyOf(result) : result;
      });
    } finally {
      temporary.forEach(releaseBlock);
    }
  };

  return {
    runOptions,
    createSession(id, model, settings) {
      const pointer = createSession(api, environment, model, settings);
      try {
        const signature = { inputs: portsOf(api, pointer, 'Input'), outputs: portsOf(api, pointer, 'Output') };
        const names = [...signature.inputs, ...signature.outputs].map(({ name }) => name);
        sessions.set(id, {
          pointer,
          signature,
          outputs: new Map(signature.outputs.map((output) => [output.name, output])),
          names: new Map(names.map((name) => [name, Buffer.from(`${name}\0`)])),
          inPlace: settings.inPlace,
        });
        return signature;
      } catch (error) {
        api.release('ReleaseSession', pointer);
        throw error;
      }
    },
    run,
    releaseSession,
    put(ids, values) {
      ids.forEach((id, i) => {
        const block = blockOf(values[i] as Tensor);
        const old = variables.get(id);
        if (!old) variables.set(id, { current: block });
        else {
          releaseBlock(old.current);
          old.current = block;
        }
      });
    },
    get: (ids) => ids.map((id) => copyOf(variableOf(id).current.tensor)),
    drop: (ids) => ids.forEach(dropVariable),
    close() {
      for (const id of [...sessions.keys()]) releaseSession(id);
      for (const id of [...variables.keys()]) dropVariable(id);
      api.release('ReleaseRunOptions', runOptions);
      api.release('ReleaseMemoryInfo', memory);
      api.release('ReleaseMemoryInfo', arena);
      api.release('ReleaseEnv', environment);
    },
  };
}

function swap(variable: Variable): void {
  const spare = variable.spare as Block;
  variable.spare = variable.current;
  variable.current = spare;
}

function copyOf(tensor: Tensor): Tensor {
  return { ...tensor, data: tensor.data.slice() };
}

function isStatic(shape: readonly Dim[] | undefined): shape is readonly number[] {
  return shape !== undefined && shape.every((dim) => typeof dim === 'number');
}

/** The content of an output that ONNX Runtime allocated, as a copy; frees the original. */
function takeValue(api: OrtApi, value: Pointer): Tensor {
  const info = api.get('GetTensorTypeAndShape', value);
  try {
    const { dtype, dims } = typeAndDims(api, info);
    const data = allocate(dtype, elementCount(dims)) as Uint8Array;
    if (data.byteLength > 0) {
      const source = new Uint8Array(api.view(api.get('GetTensorMutableData', value), data.byteLength));
      new Uint8Array(data.buffer).set(source);
    }
    return { dtype, dims, data };
  } finally {
    api.release('ReleaseTensorTypeAndShapeInfo', info);
    api.release('ReleaseValue', value);
  }
}

/** Element type and dimensions, -1 for one that is not fixed. */
function typeAndDims(api: OrtApi, info: Pointer) {
  const code = new Int32Array(1);
  api.call('GetTensorElementType', info, code);
  const rank = Number(api.get('GetDimensionsCount', info));
  const dims = new BigInt64Array(Math.max(rank, 1));
  api.call('GetDimensions', info, dims, rank);
  return { dtype: elementTypeOf(code[0] as number), dims: Array.from(dims.subarray(0, rank), Number) };
}

/** Names and types of the inputs or outputs of a session. Rank 0 may mean that nothing is known of the shape. */
function portsOf(api: OrtApi, session: Pointer, side: 'Input' | 'Output'): ValueInfo[] {
  const allocator = api.get('GetAllocatorWithDefaultOptions');
  const count = Number(api.get(`SessionGet${side}Count`, session));
  return Array.from({ length: count }, (_, i) => {
    const text = api.get(`SessionGet${side}Name`, session, i, allocator);
    const name = api.stringAt(text);
    api.call('AllocatorFree', allocator, text);
    const info = api.get(`SessionGet${side}TypeInfo`, session, i);
    try {
      const tensor = api.get('CastTypeInfoToTensorInfo', info);
      if (tensor === NULL) throw new Error(`${side.toLowerCase()} ${name} is not a tensor`);
      const { dtype, dims } = typeAndDims(api, tensor);
      const symbols = new BigUint64Array(Math.max(dims.length, 1));
      api.call('GetSymbolicDimensions', tensor, symbols, dims.length);
      const shape = dims.map((dim, axis) => (dim >= 0 ? dim : api.stringAt(symbols[axis] as Pointer)));
      return { name, dtype, shape: shape.length > 0 ? shape : undefined };
    } finally {
      api.release('ReleaseTypeInfo', info);
    }
  });
}

function createSession(
  api: OrtApi,
  environment: Pointer,
  model: Uint8Array | string,
  settings: SessionSettings,
): Pointer {
  const options = api.get('CreateSessionOptions');
  try {
    api.call('SetSessionExecutionMode', options, SEQUENTIAL);
    api.call('SetIntraOpNumThreads', options, settings.threads);
    api.call('SetInterOpNumThreads', options, 1);
    api.call('SetSessionLogSeverityLevel', options, LOG_FATAL);
    api.call('SetSessionGraphOptimizationLevel', options, optimizationLevels[settings.optimization]);
    if (!settings.memoryPattern) api.call('DisableMemPattern', options);
    if (settings.optimizedModelPath !== undefined)
      api.call('SetOptimizedModelFilePath', options, settings.optimizedModelPath);
    const entries = {
      'session.set_denormal_as_zero': (settings.flushDenormals ?? flushesDenormals()) ? '1' : '0',
      'session.intra_op.allow_spinning': '0',
      'session.use_env_allocators': '1',
      'optimization.disable_specified_optimizers': settings.disabledOptimizers.join(';'),
    };
    for (const [key, value] of Object.entries(entries)) api.call('AddSessionConfigEntry', options, key, value);
    return typeof model === 'string'
      ? api.get('CreateSession', environment, model, options)
      : api.get('CreateSessionFromArray', environment, model, model.byteLength, options);
  } finally {
    api.release('ReleaseSessionOptions', options);
  }
}

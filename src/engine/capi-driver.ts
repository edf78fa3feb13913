/** The driver over the C API: variables are bound to runs where they lie, and outputs are written where they are wanted. */
import { internal } from '../errors/index.ts';
import type { Dim, Tensor, ValueInfo } from '../graph/index.ts';
import { ARENA_ALLOCATOR, MEMORY_TYPE_DEFAULT, openBlocks, type Block, type HostBlock } from './capi-blocks.ts';
import { createSession, LOG_FATAL, signatureOf } from './capi-session.ts';
import { openDeviceMemory } from './device-memory.ts';
import type { GpuData, OrtDriver, SessionSettings } from './driver.ts';
import { openGpuProvider } from './gpu-provider.ts';
import { NULL, type OrtApi, type Pointer } from './ort-api.ts';
import type { RunCall } from './protocol.ts';

interface Variable {
  current: Block;
  /** Receives the next assignment, and changes places with `current` when the run has succeeded. */
  spare?: Block;
}

interface LoadedSession {
  readonly pointer: Pointer;
  readonly outputs: ReadonlyMap<string, ValueInfo>;
  /** C strings of all input and output names. */
  readonly names: ReadonlyMap<string, Buffer>;
  readonly inPlace: boolean;
}

export interface CapiDriver extends OrtDriver {
  readonly runOptions: Pointer;
}

/** @param gpu compute there, and keep variables there; default: on the CPU */
export function openCapiDriver(api: OrtApi, gpu?: GpuData): CapiDriver {
  const environment = api.get('CreateEnv', LOG_FATAL, 'kdx');
  // One arena for all sessions: they run one after the other, and each step graph would keep its own at full size.
  const arena = api.get('CreateCpuMemoryInfo', ARENA_ALLOCATOR, MEMORY_TYPE_DEFAULT);
  api.call('CreateAndRegisterAllocator', environment, arena, NULL);
  const runOptions = api.get('CreateRunOptions');
  const sessions = new Map<number, LoadedSession>();
  const variables = new Map<number, Variable>();
  const provider = gpu && openGpuProvider(api, environment, gpu);
  const newSession = (model: Uint8Array | string, settings: SessionSettings) =>
    createSession(api, environment, model, settings, provider);
  const device =
    gpu && provider && openDeviceMemory(api, provider, (model) => newSession(model, copierSettings), gpu.copiers);
  const blocks = openBlocks(api, device);

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
    blocks.release(variable.current);
    blocks.release(variable.spare);
    variables.delete(id);
  };
  const releaseSession = (id: number) => {
    api.release('ReleaseSession', sessionOf(id).pointer);
    sessions.delete(id);
  };

  /** Waits for what a run that was ended has already given to the GPU: no process may exit under that. */
  const settle = () => {
    const block = blocks.resident({ dtype: 'float32', dims: [1], data: new Float32Array(1) });
    blocks.contentOf(block);
    blocks.release(block);
  };

  /** Where an assigned output is written. */
  const targetOf = (session: LoadedSession, id: number): Block => {
    const variable = variableOf(id);
    if (session.inPlace) return variable.current;
    return (variable.spare ??= blocks.emptyResident(variable.current));
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
        typeof value === 'number' ? variableOf(value).current : keep(blocks.of(value)),
      );
      for (const name of call.fetch) {
        if (targets.has(name)) continue;
        const { dtype, shape } = session.outputs.get(name) as ValueInfo;
        targets.set(name, isStatic(shape) ? keep(blocks.empty(dtype, shape)) : undefined);
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
      const allocated = new Map<string, Tensor>();
      [...targets].forEach(([name, block], i) => {
        if (!block) allocated.set(name, blocks.take(outputs[i] as Pointer));
      });
      if (!session.inPlace) for (const [, id] of call.assign) swap(variableOf(id));
      const assigned = new Set(call.assign.map(([name]) => name));
      return call.fetch.map((name) => {
        const block = targets.get(name);
        if (!block) return allocated.get(name) as Tensor;
        return assigned.has(name) ? blocks.contentOf(block) : (block as HostBlock).tensor;
      });
    } catch (error) {
      if (device) settle();
      throw error;
    } finally {
      temporary.forEach(blocks.release);
    }
  };

  return {
    runOptions,
    createSession(id, model, settings) {
      const pointer = newSession(model, settings);
      try {
        const signature = signatureOf(api, pointer);
        const names = [...signature.inputs, ...signature.outputs].map(({ name }) => name);
        sessions.set(id, {
          pointer,
          outputs: new Map(signature.outputs.map((output) => [output.name, output])),
          names: new Map(names.map((name) => [name, Buffer.from(`${name}\0`)])),
          // WebGPU does not allow one buffer to be read and written by the same node; on CUDA it was never tried.
          inPlace: settings.inPlace && !device,
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
        const block = blocks.resident(values[i] as Tensor);
        const old = variables.get(id);
        if (!old) variables.set(id, { current: block });
        else {
          blocks.release(old.current);
          old.current = block;
        }
      });
    },
    get: (ids) => ids.map((id) => blocks.contentOf(variableOf(id).current)),
    drop: (ids) => ids.forEach(dropVariable),
    close() {
      for (const id of [...sessions.keys()]) releaseSession(id);
      for (const id of [...variables.keys()]) dropVariable(id);
      device?.release();
      provider?.release();
      blocks.close();
      api.release('ReleaseRunOptions', runOptions);
      api.release('ReleaseMemoryInfo', arena);
      api.release('ReleaseEnv', environment);
    },
  };
}

/** The copy is the one node of these graphs, so it must not be optimized away. */
const copierSettings: SessionSettings = {
  name: 'copy',
  inPlace: false,
  optimization: 'disabled',
  disabledOptimizers: [],
  memoryPattern: false,
  spinning: false,
  prepacking: true,
  threads: 1,
  cpuFallback: false,
  optimizedModelPath: undefined,
};

function swap(variable: Variable): void {
  const spare = variable.spare as Block;
  variable.spare = variable.current;
  variable.current = spare;
}

function isStatic(shape: readonly Dim[] | undefined): shape is readonly number[] {
  return shape !== undefined && shape.every((dim) => typeof dim === 'number');
}

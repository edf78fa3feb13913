/** NVIDIA's driver, asked through its library for its version and for the GPUs that it has. */
import type { Koffi } from './library.ts';

export interface Gpu {
  readonly name: string;
  readonly memoryBytes: number;
}

export interface CudaDriver {
  /** The newest CUDA that it supports, such as 13.0. */
  readonly version: string;
  /** In the order of CUDA's numbers, which CUDA_VISIBLE_DEVICES may have changed. */
  readonly gpus: readonly Gpu[];
}

const NAME_BYTES = 256;
/** CUresult of cuda.h, of those that a user can do something about. */
const meanings: Readonly<Record<number, string>> = {
  100: 'there is no GPU',
  101: 'there is no such GPU',
  803: 'the driver in the kernel is of another version than its library',
  804: 'this GPU does not support the compatibility libraries of CUDA',
  999: 'unknown',
};

/** Held: koffi unloads a library when its handle is collected, and this one has threads by then. */
const loaded: object[] = [];

/** @throws Error that says what the driver answers, or why its library cannot be loaded */
export function askDriver(koffi: Koffi, library: string): CudaDriver {
  const p = 'void *';
  const handle = koffi.load(library);
  loaded.push(handle);
  const call = (name: string, parameters: string[], ...args: unknown[]) => {
    const code = handle.func(name, 'int', parameters)(...args) as number;
    if (code === 0) return;
    throw new Error(`${name} answers ${code}${meanings[code] ? ` (${meanings[code]})` : ''}`);
  };
  const number = (name: string) => {
    const value = new Int32Array(1);
    call(name, [p], value);
    return value[0] as number;
  };
  call('cuInit', ['uint32_t'], 0);
  const version = number('cuDriverGetVersion');
  const gpus = Array.from({ length: number('cuDeviceGetCount') }, (_, i): Gpu => {
    const device = new Int32Array(1);
    call('cuDeviceGet', [p, 'int'], device, i);
    const name = Buffer.alloc(NAME_BYTES);
    call('cuDeviceGetName', [p, 'int', 'int'], name, NAME_BYTES, device[0]);
    const bytes = new BigUint64Array(1);
    call('cuDeviceTotalMem_v2', [p, 'int'], bytes, device[0]);
    return { name: name.toString('utf8').replace(/\0.*$/s, ''), memoryBytes: Number(bytes[0]) };
  });
  return { version: `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`, gpus };
}

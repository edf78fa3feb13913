/** What ONNX Runtime is told of CUDA, by a C API that writes it down; and what its errors mean. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { copiersFor } from '../../src/engine/copy-model.ts';
import { openCudaProvider } from '../../src/engine/cuda-provider.ts';
import { deviceError } from '../../src/engine/device-errors.ts';
import { openDeviceMemory } from '../../src/engine/device-memory.ts';
import type { OrtApi, Pointer } from '../../src/engine/ort-api.ts';
import { ortMessage } from '../../src/engine/ort-message.ts';

/** Objects are numbered; options are written as text. */
function notingApi(failing?: string) {
  const said: string[] = [];
  const texts = new Map<Pointer, string>();
  let count = 0n;
  const print = (value: unknown): unknown => {
    if (value instanceof BigUint64Array) return [...value].map((each) => texts.get(each) ?? Number(each)).join(',');
    return typeof value === 'bigint' ? `#${value}` : value;
  };
  const call = (name: string, ...args: readonly unknown[]) => {
    said.push([name, ...args.map(print)].join(' '));
    if (name === failing) throw new Error('refused');
  };
  const api: OrtApi = {
    handle: {},
    version: '1.30.0',
    call,
    get(name, ...args) {
      call(name, ...args);
      said[said.length - 1] += ` -> #${++count}`;
      return count;
    },
    release: (name, object) => void said.push(`${name} #${object}`),
    addressOf(data) {
      const address = 1000n + BigInt(texts.size);
      texts.set(address, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString().replace('\0', ''));
      return address;
    },
    view: () => assert.fail('nothing is read'),
    stringAt: () => assert.fail('nothing is read'),
  };
  return { api, said };
}

const gpu = { kind: 'cuda', index: 1, tf32: false, preload: [], copiers: {} } as const;

describe('the CUDA provider', () => {
  test('its options, one arena for all sessions once it is loaded, and its end', () => {
    const { api, said } = notingApi();
    const provider = openCudaProvider(api, 9n, gpu);
    provider.append(7n);
    provider.release();
    assert.deepEqual(said, [
      'CreateCUDAProviderOptions -> #1',
      'UpdateCUDAProviderOptions #1 device_id,use_tf32,arena_extend_strategy 1,0,kSameAsRequested 3',
      'CreateMemoryInfo Cuda 0 1 0 -> #2',
      'CreateArenaCfgV2 arena_extend_strategy 1 1 -> #3',
      'CreateAndRegisterAllocatorV2 #9 CUDAExecutionProvider #2 #3 device_id 1 1',
      'ReleaseArenaCfg #3',
      'ReleaseMemoryInfo #2',
      'SessionOptionsAppendExecutionProvider_CUDA_V2 #7 #1',
      'ReleaseCUDAProviderOptions #1',
    ]);
    assert.deepEqual([provider.memoryName, provider.deviceId], ['Cuda', 1]);
  });

  test('TensorFloat-32 only where it is asked for', () => {
    const { api, said } = notingApi();
    openCudaProvider(api, 9n, { ...gpu, tf32: true });
    assert.match(said[1]!, /use_tf32,arena_extend_strategy 1,1,/);
  });

  test('where it is refused, nothing is left and no arena asked for, which would end the process', () => {
    const { api, said } = notingApi('UpdateCUDAProviderOptions');
    assert.throws(() => openCudaProvider(api, 9n, gpu), /refused/);
    assert.equal(said.at(-1), 'ReleaseCUDAProviderOptions #1');
    assert.ok(!said.some((line) => line.startsWith('CreateAndRegisterAllocatorV2')));
  });

  test('its memory holds all fixed-size types, and nothing that is empty', () => {
    const { api, said } = notingApi();
    const provider = { memoryName: 'Cuda', deviceId: 1, append: () => undefined, release: () => undefined };
    const memory = openDeviceMemory(api, provider, () => 5n, copiersFor('cuda'));
    assert.ok(said.includes('CreateMemoryInfo Cuda 0 1 0 -> #2'), said.join('\n'));
    for (const dtype of ['float32', 'float64', 'int64', 'bool'] as const) assert.ok(memory.holds(dtype, [2, 3]), dtype);
    assert.ok(!memory.holds('float32', [0, 3]));
    assert.ok(!memory.holds('string', [2]));
    const webgpu = openDeviceMemory(api, provider, () => 5n, copiersFor('webgpu'));
    assert.ok(webgpu.holds('float32', []) && !webgpu.holds('int64', [2]));
  });
});

describe('errors of the CUDA provider', () => {
  const source =
    '/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::Allocate(size_t)';
  const failure = (code: number, says: string) =>
    `${source} [with THRW = true] CUDA failure ${code}: ${says} ; GPU=0 ; hostname=h ; file=/f.cc ; line=1 ; expr=x; \n`;
  const device = { kind: 'cuda', memoryBytes: 8 * 2 ** 30 } as const;

  test('no memory', () => {
    const none = `${source} Failed to allocate memory for requested buffer of size 4194304\n`;
    for (const [message, says] of [
      [none, 'Failed to allocate memory for requested buffer of size 4194304'],
      [failure(2, 'out of memory'), 'CUDA failure 2: out of memory'],
    ] as const) {
      const error = deviceError(device, 'step', new Error(message));
      assert.equal(error?.code, 'device-memory');
      assert.equal(error.message, `step: a tensor does not fit on the cuda device, which has 8.0 GiB: ${says}`);
      assert.match(String(error.suggestions), /--batch.*--max-length.*--device cpu/);
    }
    assert.equal(deviceError({ kind: 'cpu' }, 'step', new Error(none)), undefined);
  });

  test('a device that is gone', () => {
    for (const [code, says] of [
      [700, 'an illegal memory access was encountered'],
      [719, 'unspecified launch failure'],
    ] as const) {
      const error = deviceError(device, 'step', new Error(failure(code, says)));
      assert.equal(error?.code, 'device-lost');
      assert.equal(error.message, `step: the cuda device was lost: CUDA failure ${code}: ${says}`);
    }
    assert.equal(deviceError(device, 'step', new Error(failure(1, 'invalid argument'))), undefined);
  });

  test('cuDNN that is found and cannot be used', () => {
    const unavailable = 'cuDNN is unavailable or disabled for CUDA Execution Provider: dlopen failed';
    const error = deviceError(device, 'step', new Error(`${source} : NOT_IMPLEMENTED : ${unavailable}. Install it.`));
    assert.equal(error?.code, 'device-unavailable');
    assert.equal(error.message, `step: ONNX Runtime cannot use cuDNN: ${unavailable}`);
  });

  test('what ONNX Runtime says, without where it says it', () => {
    const library = '/usr/lib/x.so with error: libcudart.so.13: cannot open shared object file';
    const message = `${source} [ONNXRuntimeError] : 1 : FAIL : Failed to load library ${library}\n\n`;
    assert.equal(ortMessage(message), `Failed to load library ${library}`);
    assert.equal(
      ortMessage('a.cc:1 f() adapter_result.status == 0 was false. Failed to get a WebGPU adapter: none'),
      'Failed to get a WebGPU adapter: none',
    );
    assert.equal(ortMessage(' plain \n words'), 'plain');
  });
});

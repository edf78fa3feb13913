/** What is said of CUDA, with folders of libraries that have nothing in them but what they say of themselves. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { findCuda, type Cuda } from '../../src/engine/cuda.ts';
import type { DeviceReport } from '../../src/engine/device-report.ts';
import { chooseDevice, reportDevices } from '../../src/engine/devices.ts';
import { setVariables } from '../../src/engine/environment-variables.ts';
import { deviceVariables, type Processor } from '../../src/engine/index.ts';
import { loadKoffi, nativeLibrary, type NativeLibrary } from '../../src/engine/library.ts';
import { runtimeBesideProvider } from '../../src/engine/provider-folder.ts';
import { withoutKoffi } from '../support/backends.ts';
import { runChild } from './child.ts';
import { writeSharedObject } from './shared-object.ts';

const root = mkdtempSync(join(tmpdir(), 'kdx-test-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newFolder = () => {
  const folder = join(root, String(++count));
  mkdirSync(folder);
  return folder;
};

const loaded = await loadKoffi();
const koffi = loaded instanceof Error ? undefined : loaded;
const needed = ['libcublas.so.13', 'libcudart.so.13', 'libcuda.so.1', 'libc.so.6'];

/** A folder as of onnxruntime-node, without the provider. */
function nodeLibrary(): NativeLibrary {
  const folder = newFolder();
  const path = writeSharedObject(join(folder, 'libonnxruntime.so.1'), { name: 'libonnxruntime.so.1' });
  return { version: '1.30.0', folder, path };
}

function writeProvider(folder: string, libraries: readonly string[] = needed): string {
  writeSharedObject(join(folder, 'libonnxruntime_providers_shared.so'));
  writeSharedObject(join(folder, 'libonnxruntime_providers_cuda.so'), { needed: libraries });
  return folder;
}

function writeRuntime(folder: string, version: string, file = `libonnxruntime.so.${version}`): void {
  const name = 'libonnxruntime.so.1';
  writeSharedObject(join(folder, file), { name, versions: [name, `VERS_${version}`] });
}

function folderWith(...files: string[]): string {
  const folder = newFolder();
  for (const file of files) writeSharedObject(join(folder, file), { name: file });
  return folder;
}

const processor: Processor = { model: 'Abacus 3', architecture: 'x64', cores: 4, logical: 8, threads: 4, flags: [] };
const vulkan = () => ({ loader: undefined, besideDriver: false, drivers: [], problem: 'none', adapters: undefined });
const selectAdapter = () => ({ what: 'nothing to choose', tries: [] });

function reportOf(cuda: Cuda, index?: number, noCapi?: string, platform: NodeJS.Platform = 'linux'): DeviceReport {
  const surroundings = { processor, cuda: () => cuda, vulkan, selectAdapter, noCapi, platform };
  const [report] = reportDevices(surroundings, { device: 'cuda', index });
  return report as DeviceReport;
}

/** What is missing, and what to do about it; `auto` takes the CPU for the same reason. */
function missingWith(...[library, named, ...folders]: [NativeLibrary, string | undefined, ...string[]]): DeviceReport {
  const cuda = findCuda({ library, named, folders }, koffi);
  const report = reportOf(cuda);
  assert.throws(() => chooseDevice({ device: 'cuda' }, [report], 4), {
    code: 'device-unavailable',
    exitCode: 1,
    message: `device cuda is not available: ${report.reason}`,
  });
  const surroundings = { processor, cuda: () => cuda, vulkan, selectAdapter, platform: 'linux' as const };
  const chosen = chooseDevice({ device: 'auto' }, reportDevices(surroundings), 4);
  assert.equal(chosen.kind, 'cpu');
  assert.ok(chosen.reason.startsWith(`cuda: ${report.reason}; webgpu: missing: `), chosen.reason);
  assert.ok(!chosen.reason.includes('\n'));
  assert.ok(report.suggestions.includes('use --device cpu'));
  return report;
}

describe('what CUDA lacks is found by looking', () => {
  test('nothing is there', () => {
    const { reason, suggestions } = missingWith(nodeLibrary(), undefined);
    assert.equal(
      reason,
      'missing: libonnxruntime_providers_shared.so and libonnxruntime_providers_cuda.so ' +
        '(CUDA provider of ONNX Runtime) beside onnxruntime-node, libcuda.so.1 (NVIDIA driver)',
    );
    const all = suggestions.join('\n');
    assert.match(all, /ONNXRUNTIME_NODE_INSTALL=true node node_modules\/onnxruntime-node\/script\/install/);
    assert.match(all, /or set KDX_ORT_CUDA .* onnxruntime-gpu 1\.30\.0[^]*install the NVIDIA driver/);
  });

  test('the provider without the libraries that its file names', () => {
    const library = nodeLibrary();
    writeProvider(library.folder);
    const { reason, suggestions } = missingWith(library, undefined);
    assert.equal(
      reason,
      'missing: libcublas.so.13 (cuBLAS), libcudart.so.13 (CUDA runtime), libcudnn.so.9 (cuDNN), ' +
        'libcuda.so.1 (NVIDIA driver)',
    );
    const pip = 'pip install nvidia-cublas nvidia-cuda-runtime nvidia-cudnn-cu13,';
    assert.ok(suggestions[0]!.startsWith('install the CUDA Toolkit 13 and cuDNN 9 for CUDA 13 '), suggestions[0]);
    assert.ok(suggestions[0]!.includes(pip), suggestions[0]);
  });

  test('a provider for CUDA 12 names its own packages, and its own cuDNN', () => {
    const library = nodeLibrary();
    writeProvider(library.folder, ['libcublasLt.so.12', 'libcudart.so.12', 'libcudnn.so.8', 'libcuda.so.1']);
    const { reason, suggestions } = missingWith(library, undefined, folderWith('libcuda.so.1'));
    assert.equal(reason, 'missing: libcublasLt.so.12 (cuBLAS), libcudart.so.12 (CUDA runtime), libcudnn.so.8 (cuDNN)');
    assert.match(suggestions[0]!, /pip install nvidia-cublas-cu12 nvidia-cuda-runtime-cu12 nvidia-cudnn-cu12,/);
  });

  test('a runtime of another version is told', () => {
    const library = nodeLibrary();
    writeProvider(library.folder);
    const old = folderWith('libcudart.so.12', 'libcublas.so.13', 'libcudnn.so.9', 'libcuda.so.1');
    const { reason } = missingWith(library, undefined, old);
    assert.equal(reason, `missing: libcudart.so.13 (CUDA runtime; there is ${join(old, 'libcudart.so.12')})`);
  });

  test('only cuDNN', () => {
    const library = nodeLibrary();
    writeProvider(library.folder);
    const folder = folderWith('libcudart.so.13', 'libcublas.so.13', 'libcuda.so.1');
    const { reason, suggestions } = missingWith(library, undefined, folder);
    assert.equal(reason, 'missing: libcudnn.so.9 (cuDNN)');
    assert.match(suggestions[0]!, /^install cuDNN 9 for CUDA 13 .* pip install nvidia-cudnn-cu13,/);
  });

  test('only the driver', () => {
    const library = nodeLibrary();
    writeProvider(library.folder);
    const { reason } = missingWith(
      library,
      undefined,
      folderWith('libcudart.so.13', 'libcublas.so.13', 'libcudnn.so.9'),
    );
    assert.equal(reason, 'missing: libcuda.so.1 (NVIDIA driver)');
  });

  test('a driver that cannot be loaded', { skip: withoutKoffi || (process.platform !== 'linux' && 'no ELF') }, () => {
    const library = nodeLibrary();
    writeProvider(library.folder);
    const folder = folderWith('libcudart.so.13', 'libcublas.so.13', 'libcudnn.so.9');
    const path = join(folder, 'libcuda.so.1');
    // The loader of the system trusts what looks like a library: this one does not.
    writeFileSync(path, 'no library');
    const { reason, suggestions } = missingWith(library, undefined, folder);
    assert.ok(reason.startsWith(`missing: an NVIDIA driver that works: ${path}: `), reason);
    assert.ok(reason.length > `missing: an NVIDIA driver that works: ${path}: `.length);
    assert.match(suggestions[0]!, /^install the NVIDIA driver/);
  });

  test('a file by the name of the provider that is none', () => {
    const library = nodeLibrary();
    writeProvider(library.folder, ['libc.so.6']);
    const { reason } = missingWith(library, undefined, folderWith('libcuda.so.1'));
    const path = join(library.folder, 'libonnxruntime_providers_cuda.so');
    assert.equal(reason, `missing: a CUDA provider in ${path} (this file needs no library of CUDA)`);
  });
});

describe('KDX_ORT_CUDA', () => {
  const system = () => folderWith('libcudart.so.13', 'libcublas.so.13', 'libcudnn.so.9');

  test('an ONNX Runtime of another version', () => {
    const folder = writeProvider(newFolder());
    writeRuntime(folder, '1.31.1');
    const { reason, suggestions } = missingWith(nodeLibrary(), folder, system());
    assert.equal(reason, `missing: ONNX Runtime 1.30.0 in ${folder} (there is 1.31.1), libcuda.so.1 (NVIDIA driver)`);
    assert.match(
      suggestions[0]!,
      /^set KDX_ORT_CUDA .* onnxruntime-gpu 1\.30\.0 .*GPU archive of ONNX Runtime 1\.30\.0/,
    );
  });

  test('an ONNX Runtime without CUDA', () => {
    const folder = newFolder();
    writeRuntime(folder, '1.30.0');
    writeSharedObject(join(folder, 'libonnxruntime_providers_shared.so'));
    const { reason } = missingWith(nodeLibrary(), folder, folderWith('libcuda.so.1'));
    assert.equal(
      reason,
      `missing: libonnxruntime_providers_cuda.so (CUDA provider of ONNX Runtime) in ${folder}, ` +
        'which has an ONNX Runtime without CUDA',
    );
  });

  test('no folder, and something else by the name of ONNX Runtime', () => {
    const absent = join(root, 'absent');
    const driver = folderWith('libcuda.so.1');
    assert.equal(
      missingWith(nodeLibrary(), absent, driver).reason,
      `missing: the folder ${absent}, which KDX_ORT_CUDA names`,
    );
    const folder = writeProvider(newFolder());
    writeFileSync(join(folder, 'libonnxruntime.so.1'), 'nothing');
    assert.equal(
      missingWith(nodeLibrary(), folder, system(), driver).reason,
      `missing: ONNX Runtime 1.30.0 in ${folder} (libonnxruntime.so.1 is something else)`,
    );
  });

  test('a Python environment brings its libraries along, in the order in which they can be loaded', () => {
    const packages = newFolder();
    const capi = join(packages, 'onnxruntime', 'capi');
    writeProvider(capi, ['libcublas.so.13', 'libcublasLt.so.13', 'libcudart.so.13', 'libcuda.so.1']);
    writeRuntime(capi, '1.30.0');
    const lib = join(packages, 'nvidia', 'cu13', 'lib');
    writeSharedObject(join(lib, 'libcublas.so.13'), { needed: ['libcublasLt.so.13', 'libc.so.6'] });
    for (const file of ['libcublasLt.so.13', 'libcudart.so.13']) writeSharedObject(join(lib, file));
    const cudnn = writeSharedObject(join(packages, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'));
    // The folder may be named too high.
    for (const named of [capi, join(packages, 'onnxruntime'), packages]) {
      const { files, libraries, problems } = findCuda({ library: nodeLibrary(), named, folders: [] }, koffi);
      assert.deepEqual(
        problems.map(({ what }) => what),
        ['libcuda.so.1 (NVIDIA driver)'],
      );
      assert.equal(files.runtime, join(capi, 'libonnxruntime.so.1.30.0'));
      const names = ['libcublasLt.so.13', 'libcublas.so.13', 'libcudart.so.13'];
      assert.deepEqual(libraries, [...names.map((name) => join(lib, name)), cudnn]);
    }
  });

  const runtimeIn = (library: NativeLibrary, named: string | undefined, cache: string) =>
    runtimeBesideProvider(library, findCuda({ library, named, folders: [] }, undefined).files, cache);

  test('an ONNX Runtime under the name that the binding looks for stays where it is', () => {
    const [cache, library] = [join(root, 'unused'), nodeLibrary()];
    const archive = newFolder();
    writeProvider(join(archive, 'lib'));
    writeRuntime(join(archive, 'lib'), '1.30.0', 'libonnxruntime.so.1');
    assert.equal(runtimeIn(library, archive, cache), join(archive, 'lib', 'libonnxruntime.so.1'));
    writeProvider(library.folder);
    assert.equal(runtimeIn(library, undefined, cache), library.path);
    assert.ok(!existsSync(cache));
  });

  test('else a folder of links has it beside the provider, made once and again for other files', () => {
    const [cache, library] = [newFolder(), nodeLibrary()];
    const bare = writeProvider(newFolder());
    const path = runtimeIn(library, bare, cache);
    assert.equal(dirname(dirname(path)), cache);
    assert.deepEqual(readdirSync(dirname(path)).toSorted(), [
      'libonnxruntime.so.1',
      'libonnxruntime_providers_cuda.so',
      'libonnxruntime_providers_shared.so',
    ]);
    // A library that is loaded already, by its other path, would look for providers there.
    assert.ok(lstatSync(path).isFile());
    assert.deepEqual(readFileSync(path), readFileSync(library.path));
    assert.equal(runtimeIn(library, bare, cache), path);

    const wheel = writeProvider(newFolder());
    writeRuntime(wheel, '1.30.0');
    const other = runtimeIn(library, wheel, cache);
    assert.ok(lstatSync(other).isSymbolicLink());
    assert.equal(readdirSync(cache).length, 2);
    writeProvider(bare, [...needed, 'libcufft.so.12']);
    assert.notEqual(runtimeIn(library, bare, cache), path);
    assert.equal(readdirSync(cache).length, 3);
  });
});

test('another process finds the provider and its libraries, and keeps to float32', async () => {
  const packages = newFolder();
  const capi = writeProvider(join(packages, 'onnxruntime', 'capi'));
  writeRuntime(capi, nativeLibrary().version, 'libonnxruntime.so.1');
  const lib = join(packages, 'nvidia', 'cu13', 'lib');
  for (const file of ['libcublas.so.13', 'libcudart.so.13']) writeSharedObject(join(lib, file));
  const cudnn = writeSharedObject(join(packages, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'));
  const given = { KDX_ORT_CUDA: capi, LD_LIBRARY_PATH: '/somewhere/lib', NVIDIA_TF32_OVERRIDE: '0' };
  const restore = setVariables(given);
  delete process.env['NVIDIA_TF32_OVERRIDE'];
  try {
    assert.deepEqual(await deviceVariables('cuda'), {
      LD_LIBRARY_PATH: [capi, lib, dirname(cudnn), '/somewhere/lib'].join(':'),
      NVIDIA_TF32_OVERRIDE: '0',
    });
    process.env['NVIDIA_TF32_OVERRIDE'] = '1';
    assert.equal((await deviceVariables('cuda'))['NVIDIA_TF32_OVERRIDE'], '1');
    assert.deepEqual(await deviceVariables('cpu'), {});
  } finally {
    restore();
  }
});

describe('CUDA as a device', () => {
  const gpus = [
    { name: 'Loom 9000', memoryBytes: 24 * 2 ** 30 },
    { name: 'Loom 100', memoryBytes: 8.5 * 2 ** 30 },
  ];
  const there: Cuda = {
    files: { folder: '/p', runtime: undefined, provider: '/p/libonnxruntime_providers_cuda.so', problems: [] },
    libraries: [],
    driver: { version: '13.0', gpus },
    problems: [],
  };

  test('the first GPU, or one by its number', () => {
    const first = reportOf(there);
    assert.equal(first.reason, 'Loom 9000 (24.0 GiB; driver for CUDA 13.0; not used: cuda:1 Loom 100)');
    const chosen = chooseDevice({ device: 'cuda' }, [first], 4);
    assert.deepEqual(chosen, {
      kind: 'cuda',
      description: 'cuda (Loom 9000, 24.0 GiB, 4 threads)',
      reason: 'as asked',
      threads: 4,
      memoryBytes: 24 * 2 ** 30,
    });
    const second = chooseDevice({ device: 'cuda', index: 1 }, [reportOf(there, 1)], 1);
    assert.equal(second.description, 'cuda:1 (Loom 100, 8.5 GiB, 1 thread)');
    const fast = chooseDevice({ device: 'cuda', tf32: true }, [first], 4);
    assert.equal(fast.description, 'cuda (Loom 9000, 24.0 GiB, TensorFloat-32, 4 threads)');
    const surroundings = { processor, cuda: () => there, vulkan, selectAdapter, platform: 'linux' as const };
    const auto = chooseDevice({ device: 'auto' }, reportDevices(surroundings), 4);
    assert.deepEqual([auto.kind, auto.reason], ['cuda', 'the first that auto tries']);
  });

  test('a number that no GPU has lists those that are there', () => {
    const report = reportOf(there, 2);
    assert.throws(() => chooseDevice({ device: 'cuda', index: 2 }, [report], 4), {
      code: 'device-unavailable',
      message: 'device cuda:2 is not available: there is no cuda:2: cuda:0 is Loom 9000, cuda:1 is Loom 100',
      suggestions: ['use --device cuda:0', 'use --device cuda:1', 'use --device cpu'],
    });
  });

  test('neither without the C API nor on another platform', () => {
    assert.match(
      reportOf(there, 0, 'the Node binding was asked for').reason,
      /by the C API .*the Node binding was asked/,
    );
    assert.match(reportOf({ ...there, driver: undefined }).reason, /the driver cannot be asked/);
    assert.match(reportOf(there, 0, undefined, 'darwin').reason, /no cuda provider for darwin\/x64/);
  });
});

test('a process looks at all of this, also for auto', { skip: process.platform !== 'linux' && 'no CUDA' }, async () => {
  const capi = writeProvider(newFolder(), ['libcudart.so.99', 'libcuda.so.1']);
  writeRuntime(capi, '1.30.0');
  const { code, stdout, stderr } = await runChild(`
    process.env.KDX_ORT_CUDA = ${JSON.stringify(capi)};
    process.env.VK_DRIVER_FILES = '/no/such/driver.json';
    const { openEngine } = await import('./src/engine/index.ts');
    const failure = await openEngine({ device: 'cuda' }).catch((error) => error);
    const engine = await openEngine();
    console.log(JSON.stringify([failure.code, failure.message, engine.device.kind, engine.device.reason]));
    await engine.close();
  `);
  assert.equal(code, 0, stderr);
  const [failure, message, kind, reason] = JSON.parse(stdout) as string[];
  assert.deepEqual([failure, kind], ['device-unavailable', 'cpu']);
  const said = message!.replace('device cuda is not available: ', '');
  assert.match(said, /^missing: .*libcudart\.so\.99 \(CUDA runtime/);
  assert.ok(reason!.startsWith(`cuda: ${said}; webgpu: `), reason);
});

/** What is said of Vulkan and WebGPU: with made-up folders and adapters, and of broken drivers in processes of their own. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chooseDevice, reportDevices, type Surroundings } from '../../src/engine/devices.ts';
import type { Processor } from '../../src/engine/index.ts';
import { loadKoffi, type Koffi } from '../../src/engine/library.ts';
import type { Cuda } from '../../src/engine/cuda.ts';
import type { DeviceReport } from '../../src/engine/device-report.ts';
import { findVulkan, type Adapter, type Vulkan } from '../../src/engine/vulkan.ts';
import { withoutKoffi } from '../support/backends.ts';
import { softwareVulkan, useSoftwareVulkan } from '../support/software-vulkan.ts';
import { runChild } from './child.ts';

const skip = await useSoftwareVulkan();
const software = softwareVulkan()['VK_ICD_FILENAMES'] ?? '';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
});
after(() => rm(folder, { recursive: true }));

const write = async (path: string, content: string): Promise<string> => {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
};
const manifest = (library: string) =>
  JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library, api_version: '1.0.5' } });

describe('drivers and loader', () => {
  const look = (environment: Record<string, string>, folders: string[] = []) =>
    findVulkan(folders, environment, undefined);

  test('a driver is a manifest whose library is there', async () => {
    const good = await write('drivers/good.json', manifest('./libgood.so'));
    await write('drivers/libgood.so', '');
    const bare = await write('drivers/bare.json', manifest('libsomewhere.so'));
    const absent = await write('drivers/absent.json', manifest('./libabsent.so'));
    const text = await write('drivers/text.json', 'not json');
    const other = await write('drivers/other.json', '{}');
    const places = [good, bare, absent, text, other, '/no/such.json'].join(':');
    assert.deepEqual(look({ VK_ICD_FILENAMES: places }).drivers, [good, bare]);
    assert.deepEqual(look({ VK_DRIVER_FILES: good, VK_ICD_FILENAMES: bare }).drivers, [good]);
    assert.deepEqual(look({ VK_DRIVER_FILES: good, VK_ADD_DRIVER_FILES: bare }).drivers, [good, bare]);
    assert.deepEqual(look({ VK_DRIVER_FILES: join(folder, 'drivers') }).drivers.toSorted(), [bare, good].toSorted());
    const problem = (place: string) => look({ VK_ICD_FILENAMES: place }).problem;
    assert.equal(problem(absent), `${join(folder, 'drivers/libabsent.so')} does not exist`);
    assert.equal(problem(text), `${text} is not JSON`);
    assert.equal(problem(other), `${other} names no library`);
    assert.equal(problem('/no/such.json'), '/no/such.json does not exist');
    assert.equal(problem(good), '');
  });

  test('without a variable, drivers are those of the folders of the system', async () => {
    const driver = await write('share/vulkan/icd.d/gpu.json', manifest('libgpu.so'));
    const nothing = { HOME: folder, XDG_CONFIG_DIRS: folder, XDG_DATA_DIRS: join(folder, 'empty') };
    assert.ok(!look(nothing).drivers.includes(driver));
    assert.ok(look({ ...nothing, XDG_DATA_DIRS: join(folder, 'share') }).drivers.includes(driver));
  });

  test('the loader is a library of the system', async () => {
    const loader = await write('lib/libvulkan.so.1', '');
    assert.equal(look({}, [join(folder, 'lib')]).loader, loader);
    // Beside a driver it is of use only if it can be loaded from there.
    const driver = await write('lib/driver.json', manifest('libdriver.so'));
    assert.equal(look({ VK_ICD_FILENAMES: driver }).loader, undefined);
  });
});

const processor: Processor = {
  model: 'Abacus 3',
  architecture: 'x64',
  cores: 4,
  logical: 8,
  threads: 4,
  flags: ['avx2'],
};

const noCuda: Cuda = {
  files: { folder: '/p', runtime: undefined, provider: undefined, problems: [] },
  libraries: [],
  driver: undefined,
  problems: [{ what: 'everything', tries: [] }],
};
const selectAdapter = (index: number) => ({ variables: { CHOSEN: String(index) } });

function reports(...[vulkan, platform, architecture]: Parameters<typeof surroundingsOf>): DeviceReport[] {
  return reportDevices(surroundingsOf(vulkan, platform, architecture));
}

function surroundingsOf(
  vulkan: Partial<Vulkan>,
  platform: NodeJS.Platform = 'linux',
  architecture = 'x64',
): Surroundings {
  const nothing: Vulkan = { loader: undefined, besideDriver: false, drivers: [], problem: '', adapters: undefined };
  return {
    processor: { ...processor, architecture },
    cuda: () => noCuda,
    vulkan: () => ({ ...nothing, ...vulkan }),
    selectAdapter,
    platform,
  };
}

describe('webgpu as a device', () => {
  const gpu: Adapter = { name: 'Loom 9000', type: 'discrete', vendorId: 1, deviceId: 2 };
  const slow: Adapter = { name: 'PaperShader', type: 'software', vendorId: 3, deviceId: 4 };
  const found = (...adapters: Adapter[]): Partial<Vulkan> => ({ loader: '/l', drivers: ['/d.json'], adapters });
  const webgpu = (...args: Parameters<typeof reports>) => reports(...args).find(({ kind }) => kind === 'webgpu')!;

  test('what is missing is named, with what to install', () => {
    const bare = webgpu({ problem: '/x.json does not exist' });
    assert.equal(bare.reason, 'missing: libvulkan.so.1 (Vulkan loader), a Vulkan driver (/x.json does not exist)');
    assert.match(bare.suggestions.join('\n'), /libvulkan1[^]*mesa-vulkan-drivers[^]*VK_ICD_FILENAMES=[^]*--device cpu/);
    assert.match(webgpu({ loader: '/l' }).reason, /^missing: a Vulkan driver /);
    assert.equal(webgpu({ drivers: ['/d.json'] }).reason, 'missing: libvulkan.so.1 (Vulkan loader)');
    assert.equal(webgpu(found()).reason, 'no adapter: /d.json found none');
    assert.equal(webgpu(found(gpu), 'linux', 'arm64').reason, 'ONNX Runtime has no webgpu provider for linux/arm64');
    for (const report of [bare, webgpu(found()), webgpu(found(gpu), 'linux', 'arm64')])
      assert.throws(() => chooseDevice({ device: 'webgpu' }, [report], 4), {
        code: 'device-unavailable',
        exitCode: 1,
        message: `device webgpu is not available: ${report.reason}`,
      });
  });

  test('a GPU is taken by auto, a software adapter only by name', () => {
    const fast = chooseDevice({ device: 'auto' }, reports(found(gpu, slow)), 4);
    assert.deepEqual([fast.kind, fast.description], ['webgpu', 'webgpu (Loom 9000, 4 threads)']);
    assert.equal(fast.reason, 'cuda: missing: everything');
    assert.equal(webgpu(found(gpu, slow)).reason, 'Loom 9000 (discrete GPU; not used: webgpu:1 PaperShader)');
    const cpu = chooseDevice({ device: 'auto' }, reports(found(slow)), 4);
    assert.equal(cpu.kind, 'cpu');
    const note = 'PaperShader (a software adapter, for tests: auto does not take it)';
    assert.ok(cpu.reason.endsWith(`; webgpu: ${note}`), cpu.reason);
    assert.equal(chooseDevice({ device: 'webgpu' }, reports(found(slow)), 4).reason, `as asked: ${note}`);
    assert.equal(chooseDevice({ device: 'webgpu' }, reports(found(gpu)), 4).reason, 'as asked');
  });

  test('an adapter by its number, which ONNX Runtime takes under some variables', () => {
    const wanted = { device: 'webgpu', index: 1 } as const;
    const [second] = reportDevices(surroundingsOf(found(gpu, slow)), wanted) as [DeviceReport];
    assert.deepEqual(second.variables, { CHOSEN: '1' });
    assert.equal(second.name, 'PaperShader');
    assert.equal(chooseDevice(wanted, [second], 4).description, 'webgpu:1 (PaperShader, 4 threads)');
    const [first] = reportDevices(surroundingsOf(found(gpu, slow)), { device: 'webgpu', index: 0 }) as [DeviceReport];
    assert.deepEqual([first.name, first.variables], ['Loom 9000', { CHOSEN: '0' }]);
    const [unnumbered] = reportDevices(surroundingsOf(found(gpu, slow)), { device: 'webgpu' }) as [DeviceReport];
    assert.equal(unnumbered.variables, undefined);
    const absent = { device: 'webgpu', index: 2 } as const;
    assert.throws(() => chooseDevice(absent, reportDevices(surroundingsOf(found(gpu, slow)), absent), 4), {
      code: 'device-unavailable',
      message: 'device webgpu:2 is not available: there is no webgpu:2: webgpu:0 is Loom 9000, webgpu:1 is PaperShader',
      suggestions: ['use --device webgpu:0', 'use --device webgpu:1', 'use --device cpu'],
    });
    const [unseen] = reportDevices(surroundingsOf({ loader: '/l', drivers: ['/d.json'] }), wanted) as [DeviceReport];
    assert.match(unseen.reason, /^webgpu:1 cannot be chosen: Vulkan; its adapters cannot be looked at/);
  });

  test('adapters that cannot be looked at are not taken by auto', () => {
    const unseen = reports({ loader: '/l', drivers: ['/d.json'] });
    assert.equal(chooseDevice({ device: 'auto' }, unseen, 4).kind, 'cpu');
    assert.equal(chooseDevice({ device: 'webgpu' }, unseen, 4).kind, 'webgpu');
    assert.match(webgpu({}, 'darwin', 'arm64').reason, /^Metal; .* was not tried on it$/);
    assert.equal(chooseDevice({ device: 'auto' }, reports({}, 'win32'), 4).kind, 'cpu');
  });
});

describe('a process with a broken Vulkan goes on', { skip: withoutKoffi }, () => {
  /** What is said of each manifest, and the device of `auto`; all in one process. */
  const attempt = async (manifests: readonly string[], backend: string) => {
    const { code, stdout, stderr } = await runChild(
      `const { openEngine } = await import('./src/engine/index.ts');
       const said = [];
       for (const manifest of ${JSON.stringify(manifests)}) {
         process.env.VK_DRIVER_FILES = manifest;
         const failure = await openEngine({ device: 'webgpu', backend: '${backend}' }).catch((error) => error);
         const engine = await openEngine({ backend: '${backend}' });
         said.push([failure.code, failure.message, engine.device.kind, engine.device.reason]);
         await engine.close();
       }
       console.log(JSON.stringify(said));`,
    );
    assert.equal(code, 0, `a crash has no exit code: ${stderr}`);
    return JSON.parse(stdout) as (readonly [code: string, message: string, kind: string, reason: string])[];
  };

  for (const backend of ['capi', 'binding'])
    test(`manifests, ${backend}`, async () => {
      const files = [
        '/no/such.json',
        await write('broken/text.json', '{'),
        await write('broken/library.json', manifest('/no/such/library.so')),
      ];
      const said = await attempt(files, backend);
      for (const [code, , kind] of said) assert.deepEqual([code, kind], ['device-unavailable', 'cpu']);
      assert.match(said[0]![1], /a Vulkan driver \(\/no\/such\.json does not exist\)/);
      assert.match(said[1]![1], /a Vulkan driver \(.*text\.json is not JSON\)/);
      assert.match(said[2]![1], /a Vulkan driver \(\/no\/such\/library\.so does not exist\)/);
    });

  /** A driver of Chromium's package that can be looked at, and cannot compute. */
  const mock = join(dirname(software), 'libVkICD_mock_icd.so');
  test('drivers that cannot compute', { skip: skip || (!existsSync(mock) && 'there is no mock driver') }, async () => {
    const { loader } = findVulkan([], { VK_ICD_FILENAMES: software }, (await loadKoffi()) as Koffi);
    await write('loaded/readme', 'the loader is beside the drivers');
    await symlink(loader!, join(folder, 'loaded/libvulkan.so.1'));
    const none = [
      await write('loaded/no-driver.json', manifest('libm.so.6')),
      await write('loaded/no-library.json', manifest(process.execPath)),
    ];
    for (const [code, message, kind] of await attempt(none, 'capi')) {
      assert.deepEqual([code, kind], ['device-unavailable', 'cpu']);
      assert.match(message, /no adapter: .*loaded\/no-.*\.json found none/);
    }
    // In processes of their own: the loader looks for drivers once.
    const mocked = await write('loaded/mock.json', manifest(mock));
    for (const backend of ['capi', 'binding'])
      for (const [code, message, kind, reason] of await attempt([mocked], backend)) {
        assert.deepEqual([code, kind], ['device-unavailable', 'cpu']);
        const refusal = /ONNX Runtime refuses Vulkan Mock Device: Failed to get a WebGPU adapter/;
        assert.match(message, refusal);
        assert.match(reason, refusal);
      }
  });

  const several = skip || (!existsSync(mock) && 'there is no mock driver');
  for (const backend of ['capi', 'binding'])
    test(`an adapter of several by its number, ${backend}`, { skip: several }, async () => {
      const files = [await write(`several/${backend}.json`, manifest(mock)), software].join(':');
      /** In a process of its own, as ONNX Runtime looks for adapters once. */
      const said = async (script: string) => {
        const { code, stdout, stderr } = await runChild(
          `process.env.VK_DRIVER_FILES = ${JSON.stringify(files)};
           const { openEngine } = await import('./src/engine/index.ts');
           const open = (index) => openEngine({ device: 'webgpu', index, backend: '${backend}' });
           const failure = (index) => open(index).then(() => 'none', ({ message }) => message);
           ${script}`,
        );
        assert.equal(code, 0, `a crash has no exit code: ${stderr}`);
        return JSON.parse(stdout) as string[];
      };
      const [mockRefused] = await said('console.log(JSON.stringify([await failure(0)]))');
      assert.match(mockRefused!, /webgpu:0 .*ONNX Runtime refuses Vulkan Mock Device: /);
      const [absent, description, data, again, variable] = await said(
        `const said = [await failure(2)];
         const engine = await open(1);
         const w = await engine.store({ dtype: 'float32', dims: [2], data: Float32Array.of(3, 4) });
         said.push(engine.device.description, [...(await engine.read([w]))[0].data].join());
         await engine.close();
         said.push(await failure(0), process.env.VK_DRIVER_FILES);
         console.log(JSON.stringify(said));`,
      );
      assert.match(absent!, /there is no webgpu:2: webgpu:0 is Vulkan Mock Device, webgpu:1 is SwiftShader/);
      assert.match(description!, /^webgpu:1 \(SwiftShader/);
      assert.equal(data, '3,4');
      assert.match(again!, /it has looked for adapters before in this process/);
      assert.equal(variable, files);
    });
});

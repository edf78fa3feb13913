/** Choice of device and of the way to ONNX Runtime. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine, probeDevices, type Processor } from '../../src/engine/index.ts';
import { chooseDevice, reportDevices } from '../../src/engine/devices.ts';
import { nativeLibrary } from '../../src/engine/library.ts';
import { runChild } from './child.ts';
import { hasKoffi } from '../support/backends.ts';

// Whatever GPU this machine has.
process.env['VK_DRIVER_FILES'] = '/no/such/driver.json';

const processor: Processor = {
  model: 'Abacus 3',
  architecture: 'x64',
  cores: 4,
  logical: 8,
  threads: 4,
  flags: ['avx2'],
};

test('auto takes the CPU, and says in one line why nothing better', async () => {
  const engine = await openEngine({ threads: 1 });
  assert.equal(engine.device.kind, 'cpu');
  assert.equal(engine.device.threads, 1);
  assert.match(engine.device.description, /^cpu \(.+, 1 thread\)$/);
  assert.match(engine.device.reason, /^cuda: .+; webgpu: [^\n]+$/);
  await engine.close();
});

test('a device that cannot be used is an error that names what is missing', async () => {
  await assert.rejects(openEngine({ device: 'cuda' }), (error: Error & { suggestions: string[] }) => {
    assert.deepEqual(
      { ...error, message: error.message.split(':')[0] },
      { ...error, code: 'device-unavailable', exitCode: 1, message: 'device cuda is not available' },
    );
    assert.ok(error.suggestions.includes('use --device cpu'));
    return true;
  });
});

test('the CPU is always there', () => {
  const nothing = () => assert.fail('nobody asked for it');
  const surroundings = { processor, cuda: nothing, vulkan: nothing, selectAdapter: nothing };
  const reports = reportDevices(surroundings, { device: 'cpu' });
  assert.deepEqual(reports, [
    {
      kind: 'cpu',
      available: true,
      onlyByName: false,
      name: 'Abacus 3',
      reason: 'Abacus 3, 4 cores, 4 threads, avx2',
      suggestions: [],
    },
  ]);
  assert.equal(chooseDevice({ device: 'cpu' }, reports, 2).reason, 'as asked');
});

test('wrong options', async () => {
  for (const threads of [0, -1, 1.5, NaN])
    await assert.rejects(openEngine({ threads }), {
      code: 'invalid-option',
      message: /threads must be a whole number/,
    });
  for (const index of [-1, 0.5, NaN])
    await assert.rejects(openEngine({ device: 'webgpu', index }), { code: 'invalid-option', message: /whole number/ });
  for (const device of ['auto', 'cpu'] as const)
    await assert.rejects(openEngine({ device, index: 1 }), { code: 'invalid-option', message: /takes no number/ });
  process.env.KDX_ENGINE = 'bindings';
  try {
    await assert.rejects(openEngine(), { code: 'invalid-option', message: /"bindings" is not known/ });
  } finally {
    delete process.env.KDX_ENGINE;
  }
});

test('a platform without a library', () => {
  assert.throws(() => nativeLibrary('linux', 's390x'), {
    code: 'unsupported-platform',
    message: /no library for linux\/s390x, only for .*linux\/x64/,
  });
  assert.match(nativeLibrary('darwin', 'arm64').path, /libonnxruntime[.\d]*\.dylib$/);
  assert.match(nativeLibrary('win32', 'x64').path, /onnxruntime\.dll$/);
});

test('KDX_ENGINE chooses the binding', async () => {
  process.env.KDX_ENGINE = 'binding';
  try {
    const engine = await openEngine();
    assert.match(engine.name, /^onnxruntime [\d.]+, Node binding$/);
    assert.match(engine.device.reason, /Node binding as asked/);
    await engine.close();
    const probe = await probeDevices();
    assert.equal(probe.backend.name, 'binding');
  } finally {
    delete process.env.KDX_ENGINE;
  }
});

test('probeDevices tells devices, versions and the processor', async () => {
  const probe = await probeDevices();
  assert.deepEqual(
    probe.devices.map(({ kind, available }) => [kind, available]),
    [
      ['cuda', false],
      ['webgpu', false],
      ['cpu', true],
    ],
  );
  assert.match(probe.onnxruntime.version, /^1\.\d+\.\d+$/);
  assert.ok(probe.processor.threads >= 1);
  assert.equal(probe.backend.name, hasKoffi ? 'capi' : 'binding');
});

/** A loader under which koffi is not installed. */
const withoutKoffi = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module';
  register('data:text/javascript,' + encodeURIComponent(\`export async function resolve(specifier, context, next) {
    if (specifier === 'koffi') throw new Error("Cannot find package 'koffi'");
    return next(specifier, context);
  }\`));
`)}`;

test('without koffi the binding is used, and the reason is told', async () => {
  const { code, stdout, stderr } = await runChild(
    `import { openEngine } from './src/engine/index.ts';
     const engine = await openEngine();
     const failure = await openEngine({ backend: 'capi' }).catch((error) => error);
     console.log(JSON.stringify({ name: engine.name, reason: engine.device.reason, code: failure.code }));
     await engine.close();`,
    ['--import', withoutKoffi],
  );
  assert.equal(code, 0, stderr);
  const { name, reason, code: failure } = JSON.parse(stdout) as Record<string, string>;
  assert.match(name!, /Node binding$/);
  assert.match(
    reason!,
    /Node binding \(slower\), the C API of ONNX Runtime cannot be called: Cannot find package 'koffi'$/,
  );
  assert.equal(failure, 'backend-unavailable');
});

/** The engine's thread: when it fails, when it cannot start, when the process ends under it. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mock, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { OrtData } from '../../src/engine/driver.ts';
import { moduleBeside, openEngine, startHost } from '../../src/engine/index.ts';
import { nativeLibrary } from '../../src/engine/library.ts';
import { runChild } from './child.ts';
import { f32 } from './graphs.ts';
import { addon } from './waiting-driver.ts';
import { backends, withoutKoffi as noKoffi } from '../support/backends.ts';

test('when the thread dies, pending and later calls are rejected', async () => {
  const engine = await openEngine({ backend: 'binding' });
  // Calls that never arrive: the binding aborts the process when its thread is ended in the middle of a run.
  const spy = mock.method(Worker.prototype, 'postMessage', () => undefined);
  const outcomes = Promise.allSettled([engine.read([]), engine.store(f32([1]))]);
  const worker = spy.mock.calls[0]!.this as Worker;
  spy.mock.restore();
  await worker.terminate();
  for (const outcome of await outcomes)
    assert.match(String((outcome as PromiseRejectedResult).reason), /internal: the engine's worker ended with code 1/);
  await assert.rejects(engine.store(f32([1])), /internal: the engine's worker ended with code 1/);
  await engine.close();
});

test('a thread that cannot start is an error', { skip: noKoffi }, async () => {
  const start = (data: OrtData) => startHost(import.meta.resolve('../../src/engine/ort-worker.ts'), data);
  await assert.rejects(
    start({ backend: 'capi', library: '/no/such/library.so', probe: new Uint8Array() }),
    /shared library/,
  );
  await assert.rejects(start({ backend: 'binding', library: nativeLibrary().path, probe: Uint8Array.of(1, 2, 3) }));
});

const waiting = import.meta.resolve('./waiting-driver.ts');

test('a driver that refuses: its error arrives as it is, its addons are loaded in this thread too', async () => {
  const { cache } = createRequire(import.meta.url);
  assert.equal(cache[addon], undefined);
  await assert.rejects(startHost(waiting, { opens: false }), {
    name: 'KdxError',
    code: 'no-device',
    message: 'it has gone',
    suggestions: ['look for it'],
    exitCode: 1,
  });
  assert.ok(cache[addon]);
});

test('a driver is asked to give up a run, by close and by the end of the process', async () => {
  const host = await startHost<object, readonly [], string>(waiting, { opens: true });
  assert.equal(host.ready, 'it waits');
  await host.call('createSession', [1]);
  const run = host.call('run', [{ session: 1, feeds: [], fetch: ['y'], assign: [] }]);
  await Promise.all([assert.rejects(run, { code: 'engine-closed' }), host.close()]);
  const { code, stderr } = await runChild(`
    import { startHost } from './src/engine/index.ts';
    const host = await startHost('${waiting}', { opens: true });
    host.call('run', [{ session: 1, feeds: [], fetch: ['y'], assign: [] }]);
    setTimeout(() => process.exit(3), 20);`);
  assert.deepEqual({ code, stderr }, { code: 3, stderr: '' });
});

test('a module beside another is a source or compiled, as that is', () => {
  assert.equal(moduleBeside('file:///a%20b/open.ts', 'worker'), 'file:///a%20b/worker.ts');
  assert.equal(moduleBeside('file:///C:/a/open.js', 'worker'), 'file:///C:/a/worker.js');
});

const opening = (backend: string) => `
  import { openEngine } from './src/engine/index.ts';
  import { matrixChain } from './test/engine/graphs.ts';
  const engine = await openEngine({ backend: '${backend}' });
  const session = await engine.createSession(matrixChain(512, 40));
  const x = { dtype: 'float32', dims: [512, 512], data: new Float32Array(512 * 512) };
  const run = () => session.run({ feeds: { x }, fetch: ['y'] });
`;

for (const backend of backends) {
  test(`${backend}: an engine that is not closed does not keep the process`, async () => {
    const { code, stdout, stderr } = await runChild(`${opening(backend)} console.log((await run()).y.dims.join());`);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '512,512\n', stderr: '' });
  });

  test(`${backend}: the process can exit during a run`, async () => {
    const { code, stderr } = await runChild(`${opening(backend)} run(); run(); setTimeout(() => process.exit(3), 20);`);
    assert.deepEqual({ code, stderr }, { code: 3, stderr: '' });
  });
}

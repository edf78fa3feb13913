/** The engine's thread: when it fails, when it cannot start, when the process ends under it. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openEngine } from '../../src/engine/index.ts';
import { startHost } from '../../src/engine/host.ts';
import { nativeLibrary } from '../../src/engine/library.ts';
import { runChild } from './child.ts';
import { f32 } from './graphs.ts';
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
  const data = { backend: 'capi', library: '/no/such/library.so', probe: new Uint8Array() } as const;
  await assert.rejects(startHost(data), /shared library/);
  const broken = { backend: 'binding', library: nativeLibrary().path, probe: Uint8Array.of(1, 2, 3) } as const;
  await assert.rejects(startHost(broken));
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

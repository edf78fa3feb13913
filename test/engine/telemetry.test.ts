/** ONNX Runtime's telemetry is off: a run leaves none of its files in the folder for temporary files. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runChild } from './child.ts';

const source = (backend: string, temporary: string) => `
  process.env.TMPDIR = ${JSON.stringify(temporary)};
  const { openEngine } = await import('./src/engine/index.ts');
  const engine = await openEngine({ device: 'cpu', backend: '${backend}' });
  await engine.close();
  console.log('closed');
`;

for (const backend of ['capi', 'binding'])
  test(`no files of telemetry, ${backend}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'kdx-telemetry-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const { stdout, stderr } = await runChild(source(backend, folder));
    if (backend === 'capi' && /backend-unavailable/.test(stderr)) return t.skip('koffi is not installed');
    assert.match(stdout, /closed/, stderr);
    const left = await readdir(folder);
    assert.deepEqual(
      left.filter((name) => /\.ses$|^mat-debug/.test(name)),
      [],
    );
  });

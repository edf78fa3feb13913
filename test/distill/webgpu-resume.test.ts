/** A run on a GPU that is killed, or out of memory, leaves a state from which the CPU goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import type { Engine } from '../../src/engine/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { listening, loggedSteps, run, tinyData, useScene } from './tiny-run.ts';

const skip = await useSoftwareVulkan();
const scene = useScene(({ path }) => writeTinyClassifier(path('teacher')));
const child = fileURLToPath(new URL('stage-child.ts', import.meta.url));

const ofMethod = () => ({
  method: 'kd',
  teachers: [scene.path('teacher')],
  student: 'layers=1',
  // One length of batches, hence one graph.
  set: ['train.maxLength=8'],
});

/** The engine as a device whose memory is used up after some steps. */
function fullAfter(engine: Engine, steps: number): Engine {
  let runs = 0;
  return {
    ...engine,
    async createSession(model, options) {
      const session = await engine.createSession(model, options);
      return {
        ...session,
        run(request) {
          const isStep = request.assign !== undefined;
          if (isStep && ++runs > steps)
            return Promise.reject(new KdxError('device-memory', 'the GPU has no more memory'));
          return session.run(request);
        },
      };
    },
  };
}

it('goes on by the CPU when the memory of the device was used up, to the same bytes', async () => {
  const [out, whole] = [scene.path('full'), scene.path('enough')];
  const data = await tinyData();
  await assert.rejects(run(fullAfter(scene.engine, 4), { ...ofMethod(), data, out }), { code: 'device-memory' });
  assert.ok((await loggedSteps(out)).length >= 4);
  await run(scene.engine, { ...ofMethod(), data, out, resume: true });
  await run(scene.engine, { ...ofMethod(), data, out: whole });
  for (const file of ['model.safetensors', 'metrics.jsonl'])
    assert.deepEqual(await readFile(join(out, file)), await readFile(join(whole, file)), file);
});

it('goes on by the CPU after SIGKILL on WebGPU', { skip, timeout: 120_000 }, async () => {
  const given = ofMethod();
  const [out, whole] = [scene.path('killed'), scene.path('whole')];
  const words = ['--conditions=source', '--import', 'tsx', child, JSON.stringify({ ...given, out }), 'webgpu'];
  const gpuRun = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(gpuRun, 'exit');
  let text = '';
  gpuRun.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    // The state is saved after every step, before the next one is told.
    if (text.includes('distillation 3\n')) gpuRun.kill('SIGKILL');
  });
  const [, signal] = (await exited) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', text);

  const data = await tinyData();
  const progress = listening();
  const { steps } = await run(scene.engine, { ...given, data, out, resume: true, progress });
  await run(scene.engine, { ...given, data, out: whole });
  const losses = async (folder: string) => (await loggedSteps(folder)).filter(({ loss }) => loss !== undefined);
  const [found, expected] = [await losses(out), await losses(whole)];
  assert.equal(steps, 6);
  assert.deepEqual(
    found.map(({ step }) => step),
    [1, 2, 3, 4, 5, 6],
  );
  assert.ok(
    progress.lines.some((line) => line.includes('webgpu') && line.includes('cpu')),
    progress.lines.join('\n'),
  );
  found.forEach(({ step, loss }, i) => {
    const wanted = Number(expected[i]?.['loss']);
    assert.ok(Math.abs(Number(loss) - wanted) <= 1e-5 * wanted, `step ${step}: ${loss} is not ${wanted}`);
  });
});

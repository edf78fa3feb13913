/** A run on a GPU that is killed leaves a state from which the CPU goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { listening, loggedSteps, run, tinyData, useScene } from './tiny-run.ts';

const skip = await useSoftwareVulkan();
const scene = useScene(({ path }) => writeTinyClassifier(path('teacher')));
const child = fileURLToPath(new URL('stage-child.ts', import.meta.url));

it('goes on by the CPU after SIGKILL on WebGPU', { skip, timeout: 120_000 }, async () => {
  const given = {
    method: 'kd',
    teachers: [scene.path('teacher')],
    student: 'layers=1',
    // One length of batches, hence one graph.
    set: ['train.maxLength=8'],
  };
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

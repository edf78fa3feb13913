/** Runs of several stages, killed anywhere and resumed, give the bytes of a run that was never interrupted. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout } from 'node:timers/promises';
import { seeded } from '../support/seeded.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { abandonLocks, crashPoints } from './crash-points.ts';
import { loggedSteps, run, tinyData, useScene } from './tiny-run.ts';

const recipes: Readonly<Record<string, readonly { readonly stage: string; readonly steps: number }[]>> = {
  'pea-kd': [
    { stage: 'ptp', steps: 6 },
    { stage: 'distillation', steps: 6 },
  ],
  tinybert: [
    { stage: 'intermediate', steps: 6 },
    { stage: 'prediction', steps: 6 },
  ],
  mixkd: [{ stage: 'distillation', steps: 6 }],
};

/** One length of batches, hence one graph a stage; of TinyBERT's first stage as many epochs as of the others. */
const set = (method: string) => [
  'train.maxLength=8',
  ...(method === 'tinybert' ? ['intermediate.train.epochs=2'] : []),
];

const scene = useScene(({ path }) => writeTinyClassifier(path('teacher')));

const given = (method: string) => ({
  method,
  teachers: [scene.path('teacher')],
  student: 'layers=1',
  set: set(method),
});

async function assertSame(found: string, whole: string, title: string): Promise<void> {
  for (const file of ['model.safetensors', 'config.json', 'metrics.jsonl'])
    assert.deepEqual(await readFile(join(found, file)), await readFile(join(whole, file)), `${title}: ${file}`);
  assert.deepEqual((await readdir(found)).sort(), (await readdir(whole)).sort(), `${title}: nothing else is left`);
}

for (const [method, stages] of Object.entries(recipes))
  describe(method, () => {
    const whole = () => scene.path(method);
    const copies = () => scene.path(`copies-${method}`);
    let points: readonly string[];

    it('leaves the result alone in its folder, and one log over all stages', async () => {
      await mkdir(whole());
      const data = await tinyData();
      points = await crashPoints(whole(), copies(), () => run(scene.engine, { ...given(method), data, out: whole() }));
      const files = ['config.json', 'metrics.jsonl', 'model.safetensors', 'result.json', 'run.json'];
      assert.deepEqual((await readdir(whole())).sort(), [...files, 'tokenizer.json', 'tokenizer_config.json']);

      const entries = await loggedSteps(whole());
      const steps = entries.filter(({ loss }) => loss !== undefined);
      const names = stages.flatMap(({ stage, steps: count }) => new Array<string>(count).fill(stage));
      assert.deepEqual(
        steps.map(({ step, stage }) => ({ step, stage })),
        names.map((stage, i) => ({ step: i + 1, stage })),
      );
      assert.ok(entries.every(({ step, stage }) => stage === names[step - 1]));
    });

    // A copy was taken before each change of a file; those around the seams of stages, and some of the others.
    const first = stages[0]?.stage;
    const seams = [`rename ${first}.best.safetensors`, `rename ${first}.safetensors`, `rm ${first}.state.safetensors`];
    it('goes on from what a kill at any change of a file leaves', async () => {
      const random = seeded(5);
      const chosen = points.filter((point, i) => {
        const isSeam = seams.includes(point.slice(3)) || points[i - 1]?.slice(3) === seams.at(-1);
        return isSeam || /rename (result|model)/.test(point) || random.float() < 0.06;
      });
      const data = await tinyData();
      for (const point of chosen) {
        const out = join(copies(), point);
        await abandonLocks(out);
        await run(scene.engine, { ...given(method), data, out, resume: true });
        await assertSame(out, whole(), `killed before ${point}`);
      }
    });

    it('goes on after SIGKILL in every stage', { timeout: 120_000 }, async () => {
      const out = scene.path(`${method}-killed`);
      const random = seeded(11);
      for (const { stage, steps } of stages)
        await killed(method, out, `${stage} ${1 + random.integer(steps - 2)}\n`, 15 * random.float());
      await run(scene.engine, { ...given(method), data: await tinyData(), out, resume: true });
      await assertSame(out, whole(), 'killed');
    });
  });

/** Goes on with a run in a process of its own, killed some milliseconds after it said something. */
async function killed(method: string, out: string, said: string, delay: number): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      ...['--conditions=source', '--import', import.meta.resolve('tsx')],
      fileURLToPath(new URL('stage-child.ts', import.meta.url)),
      JSON.stringify({ ...given(method), out }),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes(said)) void setTimeout(delay).then(() => child.kill('SIGKILL'));
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  assert.deepEqual([code, signal], [null, 'SIGKILL'], `killed after "${said.trim()}"`);
}

/** Recipes that begin with the same training: it is done once, and changes nothing of what comes out. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { StoredCell } from '../../plugins/distill/src/compare/cells.ts';
import { compare } from '../../plugins/distill/src/compare/compare.ts';
import { methodsOf } from '../../plugins/distill/src/compare/lists.ts';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { parseStudent } from '../../plugins/distill/src/recipe/student.ts';
import { loadTaskData } from '../../src/data/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { lockFile } from '../../src/recipe/index.ts';
import { useScene, writeReviews } from '../distill/tiny-run.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';

const scene = useScene(async ({ path }) => {
  await writeTinyClassifier(path('teacher'));
  await writeReviews(path('reviews'));
});

const first = { name: 'intermediate', losses: [{ method: 'transformer' }], keep: 'last', train: { epochs: 2 } };
const taught = { name: 'distillation', losses: [{ method: 'kd' }] };
const labelled = { name: 'labels', losses: [{ method: 'label' }] };

/** Recipe files by name, as `--methods` takes them. */
async function recipes(given: Readonly<Record<string, object>>): Promise<string> {
  const parts = Object.entries(given).map(async ([name, recipe]) => {
    const file = scene.path(`${name}.json`);
    await writeFile(file, JSON.stringify({ method: 'tinybert', ...recipe }));
    return `${name}=${file}`;
  });
  return (await Promise.all(parts)).join(',');
}

/** Compares with two seeds; returns what was said of stages that were not trained. */
async function compared(out: string, methods: string, seeds = [1, 2]): Promise<string[]> {
  const said: string[] = [];
  await compare({
    out: scene.path(out),
    resume: true,
    teachers: [scene.path('teacher')],
    methods: methodsOf(methods).map(({ name, file }) => ({
      name,
      recipe: (seed) =>
        checkDistillRecipe({
          ...(file === undefined ? { method: name } : { file }),
          flags: { student: parseStudent('layers=1'), train: { epochs: 1, batch: 8, maxLength: 8, seed } },
        }),
    })),
    seeds,
    fractions: [1],
    data: await loadTaskData({ task: 'sst2', dir: scene.path('reviews') }),
    augmented: [],
    keep: true,
    command: 'kdx compare',
    engine: scene.engine,
    progress: { ...silentProgress, message: (text) => said.push(text) },
    signal: new AbortController().signal,
  });
  return said.filter((text) => /^(cell|intermediate: taken)/.test(text));
}

async function answers(out: string, cell: string): Promise<StoredCell> {
  return JSON.parse(await readFile(scene.path(out, 'cells', `${cell}.json`), 'utf8')) as StoredCell;
}

describe('methods whose first stages are the same', () => {
  it('train it once for each seed, and are what they are without each other', async () => {
    const both = await recipes({ soft: { stages: [first, taught] }, hard: { stages: [first, labelled] } });
    const said = await compared('both', both);
    const cells = said.map((text) => text.replace(/^cell . of 6: |(: taken) .*$/, '$1'));
    const ofSeed = (seed: number, ...stages: string[]) =>
      ['finetune', 'soft', 'hard'].map((method) => `${method}-100pct-seed${seed}`).concat(stages);
    assert.deepEqual(cells, [...ofSeed(1, 'intermediate: taken'), ...ofSeed(2, 'intermediate: taken')]);
    const [soft, hard] = both.split(',') as [string, string];
    assert.deepEqual(
      [await compared('soft', soft), await compared('hard', hard)].flat().join().includes('taken'),
      false,
    );
    for (const method of ['soft', 'hard'])
      for (const seed of [1, 2]) {
        const name = `${method}-100pct-seed${seed}`;
        const [together, alone] = [await answers('both', name), await answers(method, name)];
        assert.deepEqual(together.devLogits, alone.devLogits, name);
        assert.deepEqual([together.key, together.recipe], [alone.key, alone.recipe]);
        const { steps, examples, stages } = together.training;
        assert.deepEqual([steps, examples], [alone.training.steps, alone.training.examples]);
        assert.deepEqual(
          stages.map((stage) => [stage.name, stage.steps]),
          alone.training.stages.map((stage) => [stage.name, stage.steps]),
        );
        const metrics = async (out: string) =>
          (await readFile(scene.path(out, 'runs', name, 'metrics.jsonl'), 'utf8'))
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as { step: number; stage: string; loss?: number })
            .map(({ step, stage, loss }) => [step, stage, loss]);
        assert.deepEqual(await metrics('both'), await metrics(method), name);
      }
  });

  it('count its cost in full', async () => {
    const ofFirst = async (method: string) => (await answers('both', `${method}-100pct-seed1`)).training;
    const [soft, hard] = [await ofFirst('soft'), await ofFirst('hard')];
    assert.deepEqual(hard.stages[0], soft.stages[0]);
    assert.ok(hard.seconds >= hard.stages[0]!.seconds && hard.cpuSeconds! > 0);
  });

  it('leave nothing of it when all are trained', async () => {
    const names = ['cells', 'comparison.json', 'index.html', 'report.json', 'report.md', 'runs'];
    assert.deepEqual((await readdir(scene.path('both'))).sort(), names);
    const run = await readdir(scene.path('both', 'runs', 'hard-100pct-seed1'));
    assert.deepEqual(
      run.filter((name) => name.startsWith('intermediate')),
      [],
    );
  });

  it('find it when they come to it later', async () => {
    const both = await recipes({ soft: { stages: [first, taught] }, hard: { stages: [first, labelled] } });
    await compared('later', 'finetune', [1]);
    const unlock = await lockFile(scene.path('later', 'runs', 'hard-100pct-seed1.lock'), 'hard');
    await compared('later', both, [1]);
    assert.equal((await readdir(scene.path('later', 'stages', '100pct-seed1'))).length, 2);
    await unlock();
    assert.match((await compared('later', both, [1])).join(), /^cell 3 of 3: hard-100pct-seed1,intermediate: taken/);
    const name = 'hard-100pct-seed1';
    assert.deepEqual((await answers('later', name)).devLogits, (await answers('both', name)).devLogits);
    assert.ok(!(await readdir(scene.path('later'))).includes('stages'));
  });
});

describe('methods whose first stages differ', () => {
  const others: Readonly<Record<string, object>> = {
    'in their loss': { stages: [{ ...first, losses: [{ method: 'transformer', attention: 0 }] }, labelled] },
    'in the settings of their training': { stages: [{ ...first, train: { epochs: 2, lr: 1e-3 } }, labelled] },
    'in a setting of the whole recipe': { stages: [first, labelled], train: { weightDecay: 0.1 } },
    'in the student': { stages: [first, labelled], student: { init: { from: 'random' } } },
    'in their name alone': { stages: [{ ...first, name: 'other' }, labelled] },
  };
  for (const [how, other] of Object.entries(others))
    it(how, async () => {
      const out = how.replaceAll(' ', '-');
      const methods = await recipes({ base: { stages: [first, taught] }, [`${out}-hard`]: other });
      const said = await compared(out, methods, [1]);
      assert.equal(said.length, 3, said.join('\n'));
      assert.ok(!said.some((text) => text.includes('taken')));
    });
});

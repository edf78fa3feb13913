/** Going on with what an earlier version of kdx began, whose recipes had fewer options. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { before, describe, it } from 'node:test';
import { finetune } from '../../plugins/distill/src/finetune.ts';
import { finetuneSchema } from '../../plugins/distill/src/recipe/schema.ts';
import { KdxError } from '../../src/errors/index.ts';
import type { Progress } from '../../src/progress/index.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { listening, run, tinyData, tinyTraining, useScene } from './tiny-run.ts';

const scene = useScene(({ path }) => writeTinyClassifier(path('teacher')));

const commands = {
  distill: async (out: string, resume: boolean, progress: Progress, set: string[] = []) =>
    run(scene.engine, {
      ...{ method: 'tinybert', teachers: [scene.path('teacher')], student: 'layers=1', data: await tinyData() },
      ...{ out, resume, progress, set },
    }),
  finetune: async (out: string, resume: boolean, progress: Progress) =>
    finetune({
      ...{ model: scene.path('teacher'), data: await tinyData(), out, resume, progress, engine: scene.engine },
      train: finetuneSchema.parse({ train: tinyTraining }).train,
      signal: new AbortController().signal,
    }),
};

interface Recorded {
  recipe: { train: Record<string, unknown>; stages?: { losses: Record<string, unknown>[] }[] };
}

/** A finished run whose record is as before some options were there. */
async function old(command: keyof typeof commands): Promise<void> {
  const out = scene.path(command);
  await commands[command](out, false, listening());
  const file = scene.path(command, 'run.json');
  const record = JSON.parse(await readFile(file, 'utf8')) as Recorded;
  for (const option of ['precision', 'recompute', 'frozen']) delete record.recipe.train[option];
  delete record.recipe.stages?.[0]?.losses[0]?.['projection'];
  await writeFile(file, JSON.stringify(record));
}

describe('a run without the options of today', () => {
  before(() => Promise.all([old('distill'), old('finetune')]));

  for (const command of ['distill', 'finetune'] as const)
    it(`of ${command} goes on: what it does not name has its default`, async () => {
      const progress = listening();
      await commands[command](scene.path(command), true, progress);
      assert.match(progress.lines.join('\n'), /is complete already/);
    });

  it('is refused with another value for one of them, which alone is named', async () => {
    const set = ['stages.intermediate.losses.transformer.projection=none'];
    await assert.rejects(commands.distill(scene.path('distill'), true, listening(), set), (error) => {
      assert.ok(error instanceof KdxError && error.code === 'run-mismatch');
      assert.match(error.message, /^ {2}recipe\.stages\.0\.losses\.0\.projection: "shared" before, "none" now$/m);
      assert.doesNotMatch(error.message, /precision|recompute|frozen/);
      return true;
    });
  });
});

/** Traps that all distillation has in common: whose dropout, which rows, which optimizer, measured on what. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate } from '../../plugins/distill/src/evaluation.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { attentions, dropoutSites, stageStep, trainedConfig } from './stage-step.ts';
import { loggedSteps, run, tinyData, useScene, type TinyRun } from './tiny-run.ts';

const scene = useScene(async ({ path }) => {
  await writeTinyClassifier(path('teacher'));
  await writeTinyClassifier(path('other'), { seed: 3 });
});

const given = async (out: string, method: string): Promise<TinyRun & { set: readonly string[] }> => ({
  ...{ out: scene.path(out), method, teachers: [scene.path('teacher')], student: 'layers=1' },
  ...{ data: await tinyData(), set: ['train.maxLength=8'] },
});

describe('a teacher in the step has no dropout, although its configuration has some', () => {
  const teacher = trainedConfig({ layers: 4 });
  // Passes of the student and of the teacher; whether the loss reads the student's head.
  const cases: readonly [method: string, stage: string, student: number, taught: number, head: boolean][] = [
    ['tinybert', 'intermediate', 1, 1, false],
    ['tinybert', 'prediction', 1, 0, true],
    ['mixkd', 'distillation', 2, 1, true],
  ];
  for (const [method, stage, student, taught, head] of cases)
    it(`${method}, ${stage}`, async () => {
      const step = await stageStep(method, { teacher, stage });
      assert.equal(attentions(step), 2 * student + 4 * taught);
      assert.equal(step.dropout.length, student * (dropoutSites(2) - Number(!head)));
      // Each pass has masks of its own.
      assert.equal(new Set(step.dropout.map(({ name }) => name)).size, step.dropout.length);
    });
});

describe('rows of the cache meet their own examples in shuffled batches', () => {
  /** Largest logged value of each term, of a student that is the first teacher and does not change. */
  async function largest(teacher: string, method: string, terms: readonly string[], set: readonly string[]) {
    const still = ['lr=1e-30', 'dropout.hidden=0', 'dropout.attention=0', 'dropout.classifier=0'];
    const { student: _, ...job } = await given(`${method}-${teacher}`, method);
    const { out } = await run(scene.engine, {
      ...{ ...job, teachers: [scene.path(teacher)], studentModel: scene.path('teacher') },
      set: [...still.map((option) => `train.${option}`), ...set],
    });
    const steps = (await loggedSteps(out)).filter((entry) => 'loss' in entry);
    assert.equal(steps.length, 6);
    return terms.map((term) => Math.max(...steps.map((entry) => Math.abs(Number(entry[term])))));
  }

  const cases: readonly [method: string, terms: readonly string[], set: readonly string[]][] = [
    ['pkd', ['kd_loss', 'patience_loss'], []],
    ['mixkd', ['mixkd_teacher_mix_loss', 'mixkd_original_loss'], ['alpha=0', 'original=1', 'target=interpolated']],
  ];
  for (const [method, terms, set] of cases)
    it(method, async () => {
      for (const value of await largest('teacher', method, terms, set)) assert.ok(value < 1e-5, `${value}`);
      for (const value of await largest('other', method, terms, set)) assert.ok(value > 1e-3, `${value}`);
    });
});

it('stages do not mix: terms, learning rates and measurements are of one stage', async () => {
  const job = await given('stages', 'tinybert');
  const set = [...job.set, 'intermediate.train.epochs=2', 'prediction.train.warmup=0.5'];
  const entries = await loggedSteps((await run(scene.engine, { ...job, set })).out);
  const of = (stage: string) => entries.filter((entry) => entry.stage === stage);
  const rates = (stage: string) => of(stage).flatMap((entry) => ('loss' in entry ? [entry['learning_rate']] : []));
  assert.deepEqual(rates('intermediate'), new Array(6).fill(1e-3));
  // The schedule begins again, and its first step has a rate of 0.
  const factors = rates('prediction').map((rate) => Number(rate) / 1e-3);
  factors.forEach((factor, i) => assert.ok(Math.abs(factor - [0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3][i]!) < 1e-9));
  const named = (stage: string, pattern: RegExp) => of(stage).some((entry) => Object.keys(entry).some((key) => pattern.test(key))); // prettier-ignore
  assert.deepEqual([named('intermediate', /^transformer/), named('prediction', /^transformer/)], [true, false]);
  assert.deepEqual([named('intermediate', /^prediction/), named('prediction', /^prediction/)], [false, true]);
  // Before the second stage the head is untrained, or random: nothing is measured.
  assert.deepEqual([named('intermediate', /^dev_/), named('prediction', /^dev_/)], [false, true]);
});

it('MixKD is measured on plain examples', async () => {
  const job = await given('measured', 'mixkd');
  const { out, metrics } = await run(scene.engine, job);
  const surroundings = { engine: scene.engine, progress: silentProgress, signal: new AbortController().signal };
  const found = await evaluate({ ...surroundings, model: out, data: job.data!, maxLength: 8 });
  assert.deepEqual(found.metrics, metrics);
});

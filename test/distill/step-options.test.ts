/** How steps are computed, as options of a distillation: recomputation, float16 products, frozen embeddings. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { precisionNotes } from '../../plugins/distill/src/precision.ts';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { finetuneSchema } from '../../plugins/distill/src/recipe/schema.ts';
import { readSafetensors } from '../../src/checkpoint/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { assertRefused, goodData, goodInput, runIn, usePlace } from '../cli/bad-input.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { listening, loggedSteps, prepare, run, tinyData, useScene, type LoggedStep } from './tiny-run.ts';

const scene = useScene(async ({ path }) => {
  await writeTinyClassifier(path('teacher'), { config: { num_hidden_layers: 8 } });
});

const given = async (name: string, method: string, ...set: string[]) => ({
  out: scene.path(name),
  method,
  teachers: [scene.path('teacher')],
  student: 'layers=2',
  data: await tinyData(),
  set: ['train.evaluate=end', ...set],
});

const result = (name: string, file = 'model.safetensors') => readFile(scene.path(name, file));
const losses = (log: readonly LoggedStep[]) => log.flatMap(({ loss }) => (loss === undefined ? [] : [Number(loss)]));

describe('a recipe', () => {
  it('has neither by default', async () => {
    const { recipe } = await checkDistillRecipe({ method: 'kd' });
    assert.deepEqual([recipe!.train.recompute, recipe!.train.precision], [false, 'float32']);
    const { train } = finetuneSchema.parse({ train: { recompute: true, precision: 'float16' } });
    assert.deepEqual([train.recompute, train.precision], [true, 'float16']);
  });

  it('takes what there is', async () => {
    const set = ['train.recompute=1', 'train.precision=bfloat16', 'distillation.train.precision=float16'];
    const { problems } = await checkDistillRecipe({ method: 'kd', set });
    assert.deepEqual([...problems].sort(), [
      'stages.0.train.precision: unknown key, did you mean train.precision?',
      'train.precision: expected "float32" or "float16", found "bfloat16"',
      'train.recompute: expected boolean, found 1',
    ]);
  });
});

describe('flags', () => {
  const place = usePlace();
  const words = ['distill', '--teacher', '@model', ...goodData, '--student', 'layers=2', '--max-length', '16'];
  const start = ['finetune', '--model', '@model', ...goodData, '--max-length', '16', '--out', '@out'];

  it('are the keys of the recipe, and win over a file', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    const recipeOf = async (...flags: string[]) => {
      const { result: printed } = await runIn(folder, [...words, '--print-recipe', ...flags]);
      const { recompute, precision } = (printed as { recipe: { train: Record<string, unknown> } }).recipe.train;
      return [recompute, precision];
    };
    assert.deepEqual(await recipeOf(), [false, 'float32']);
    assert.deepEqual(await recipeOf('--recompute', '--precision', 'float16'), [true, 'float16']);
    // A flag that is not given says nothing.
    assert.deepEqual(await recipeOf('--set', 'train.recompute=true', '--set', 'train.precision=float16'), [true, 'float16']); // prettier-ignore
  });

  for (const [title, argv] of [
    ['distill', [...words, '--out', '@out']],
    ['finetune', start],
  ] as const)
    it(`of ${title} refuse float16 where TensorFlow.js computes`, async () => {
      const folder = await place.folder();
      await goodInput(folder);
      const outcome = await runIn(folder, [...argv, '--engine', 'tfjs', '--precision', 'float16']);
      assertRefused(outcome, { code: 'invalid-usage', says: ['TensorFlow.js has no float16', '--engine ort'] }, folder);
    });
});

describe('recomputation', () => {
  for (const method of ['kd', 'tinybert', 'pea-kd-sps'])
    it(`of ${method} leaves the same files`, async () => {
      await run(scene.engine, await given(`${method}-kept`, method));
      await run(scene.engine, await given(`${method}-again`, method, 'train.recompute=true'));
      for (const file of ['model.safetensors', 'metrics.jsonl'])
        assert.deepEqual(await result(`${method}-again`, file), await result(`${method}-kept`, file), file);
    });

  it('is part of the memory that is foretold', async () => {
    const memory = async (method: string, ...set: string[]) => {
      const { plan } = await prepare(await given('', method, 'train.batch=64', 'train.maxLength=32', ...set));
      return plan.stages.at(-1)!.memoryBytes;
    };
    const [kept, again] = [await memory('pea-kd-sps'), await memory('pea-kd-sps', 'train.recompute=true')];
    assert.ok(again < 0.7 * kept, `${again} bytes, ${kept} without`);
    assert.notEqual(await memory('kd', 'train.precision=float16'), await memory('kd'));
  });
});

describe('frozen embeddings', () => {
  const weights = async (name: string) => (await readSafetensors(scene.path(name, 'model.safetensors'))).tensors;
  const isTable = (name: string) => /embeddings\.\w+_embeddings\.weight$/.test(name);
  // One step, without clipping, which would tie all parameters together.
  const oneStep = ['train.epochs=1', 'train.batch=24', 'train.clipNorm=0'];

  it('keep their values, and everything else is trained as without', async () => {
    await run(scene.engine, await given('free', 'kd', ...oneStep));
    await run(scene.engine, await given('frozen', 'kd', ...oneStep, 'train.frozen=embeddings'));
    const [free, frozen, start] = [await weights('free'), await weights('frozen'), await weights('teacher')];
    const tables = [...frozen.keys()].filter(isTable);
    assert.equal(tables.length, 3);
    for (const [name, value] of frozen) {
      assert.deepEqual(value, (isTable(name) ? start : free).get(name), name);
      if (name !== tables[2]) assert.notDeepEqual(free.get(name), start.get(name), `${name} is trained without`);
    }
  });

  it('go on after a resume, and need less memory', async () => {
    const set = ['train.frozen=embeddings', 'train.accumulate=2', 'train.batch=4'];
    await run(scene.engine, await given('frozen-whole', 'kd', ...set));
    const stop = new AbortController();
    const progress = { ...silentProgress, update: (done: number) => void (done === 2 && stop.abort()) };
    const start = { ...(await given('frozen-cut', 'kd', ...set)), progress, signal: stop.signal };
    await assert.rejects(run(scene.engine, start), { name: 'AbortError' });
    await run(scene.engine, { ...(await given('frozen-cut', 'kd', ...set)), resume: true });
    assert.deepEqual(await result('frozen-cut'), await result('frozen-whole'));
    const memory = async (...more: string[]) =>
      (await prepare(await given('', 'kd', ...more))).plan.stages[0]!.memoryBytes;
    assert.ok((await memory('train.frozen=embeddings')) < (await memory()));
  });
});

describe('float16 products', () => {
  it('are noted on a device that does not have them', () => {
    assert.deepEqual(precisionNotes('float32', 'cpu'), []);
    assert.deepEqual(precisionNotes('float16', 'cuda'), []);
    assert.match(precisionNotes('float16', 'cpu')[0]!, /float32/);
    assert.match(precisionNotes('float16', 'webgpu')[0]!, /shader-f16/);
  });

  it('are not for weights that are trained as they are exported', async () => {
    await assert.rejects(prepare(await given('', 'qat', 'train.precision=float16')), {
      code: 'impossible-distillation',
      message: /^stage quantized: float16 would round the quantized weights once more/,
    });
  });

  it('of a distillation lose and answer what float32 does, nearly', async () => {
    const progress = listening();
    const [whole, half] = [
      await run(scene.engine, await given('whole', 'kd')),
      await run(scene.engine, { ...(await given('half', 'kd', 'train.precision=float16')), progress }),
    ];
    assert.ok(progress.lines.some((line) => line === `note: ${precisionNotes('float16', 'cpu')[0]}`));
    const [expected, found] = [await loggedSteps(scene.path('whole')), await loggedSteps(scene.path('half'))];
    losses(expected).forEach((loss, i) => {
      const other = losses(found)[i]!;
      assert.ok(Math.abs(other / loss - 1) < 0.01, `loss ${other}, ${loss} in float32`);
    });
    // One of twelve examples may lie on the border.
    assert.ok(Math.abs(whole.metrics['accuracy']! - half.metrics['accuracy']!) < 0.1);
    assert.equal(half.stages[0]!.skipped, 0);
    assert.ok(!('skipped' in whole.stages[0]!));
    assert.ok(found.every((entry) => !('loss' in entry) || entry['loss_scale'] === 2 ** 16));
  });

  it('go on to the same bits', async () => {
    const set = ['train.precision=float16', 'train.recompute=true', 'train.accumulate=2', 'train.batch=4'];
    const stop = new AbortController();
    const progress = { ...silentProgress, update: (step: number) => step === 3 && stop.abort() } as never;
    await run(scene.engine, await given('straight', 'kd', ...set));
    const parts = await given('parts', 'kd', ...set);
    await assert.rejects(run(scene.engine, { ...parts, progress, signal: stop.signal }), { name: 'AbortError' });
    await run(scene.engine, { ...parts, resume: true });
    for (const file of ['model.safetensors', 'metrics.jsonl'])
      assert.deepEqual(await result('parts', file), await result('straight', file), file);
  });

  it('say in the result how many steps were left out', async () => {
    const { renderTraining } = await import('../../plugins/distill/src/commands/result.ts');
    const done = await run(scene.engine, await given('shown', 'kd', 'train.precision=float16'));
    const text = (skipped: number) => renderTraining({ ...done, stages: [{ ...done.stages[0]!, skipped }] }, []);
    assert.match(text(2), /^steps left out because gradients overflowed float16: 2$/m);
    assert.doesNotMatch(text(0), /left out/);
  });
});

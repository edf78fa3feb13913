/** Plain text: how it is packed into sequences, and the runs that pretrain on it. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { loadCorpus } from '../../plugins/distill/src/corpus.ts';
import { finetune } from '../../plugins/distill/src/finetune.ts';
import { finetuneSchema } from '../../plugins/distill/src/recipe/schema.ts';
import type { TrainingResult } from '../../plugins/distill/src/run.ts';
import { loadCheckpoint, readSafetensors } from '../../src/checkpoint/index.ts';
import { loadTokenizer } from '../../src/data/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { tinyModel } from '../augment/tiny-masked-lm.ts';
import { runCommand } from '../cli/run-command.ts';
import { tokenizerFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { loggedSteps, prepare, run, tinyData, tinyTraining, useScene } from './tiny-run.ts';

const scene = useScene(async ({ path }) => {
  await tinyModel(path('masked-lm'));
  await tinyModel(path('encoder'), false);
  await writeTinyClassifier(path('teacher'));
  const lines = ['the screen is superb', 'the hinge is sloppy and the app is useless', 'a clever filter', ''];
  await writeFile(path('text.txt'), lines.join('\n').repeat(8));
});

describe('loadCorpus', () => {
  const pack = async (text: string, maxLength: number) => {
    const path = scene.path('packed.txt');
    await writeFile(path, text);
    const tokenizer = await loadTokenizer(tokenizerFolder);
    const { examples, hash } = await loadCorpus(path, tokenizer, maxLength);
    const sequences = Array.from({ length: examples.count }, (_, i) => [
      ...examples.ids.subarray(examples.offsets[i], examples.offsets[i + 1]),
    ]);
    for (const sequence of sequences)
      assert.deepEqual([sequence[0], sequence.at(-1)], [tokenizer.clsId, tokenizer.sepId]);
    const inner = sequences.map((sequence) => sequence.slice(1, -1));
    const tokens = (line: string) => tokenizer.encode(line, undefined, 1000).ids.slice(1, -1);
    return { sequences, inner, tokens, examples, hash };
  };
  const [first, second, third] = ['the screen is superb', 'a clever filter', 'the app is useless'];

  it('lets the lines of a document follow each other, and begins anew after an empty line', async () => {
    const { inner, tokens, examples } = await pack(`${first}\n${second}\n\n \n${third}`, 64);
    assert.deepEqual(inner, [[...tokens(first), ...tokens(second)], tokens(third)]);
    assert.equal(examples.ids.length, examples.offsets.at(-1));
    assert.ok(examples.typeIds.length === examples.ids.length && examples.typeIds.every((type) => type === 0));
  });

  it('splits what is too long, in the middle of a line too, and loses nothing', async () => {
    for (const maxLength of [3, 5, 8]) {
      const { sequences, inner, tokens } = await pack(`${first}\n${second}\n\n${third}\n`, maxLength);
      const document = [...tokens(first), ...tokens(second)];
      const expected = [document, tokens(third)].flatMap((all) =>
        Array.from({ length: Math.ceil(all.length / (maxLength - 2)) }, (_, i) =>
          all.slice(i * (maxLength - 2), (i + 1) * (maxLength - 2)),
        ),
      );
      assert.deepEqual(inner, expected);
      assert.ok(sequences.every(({ length }) => length <= maxLength));
    }
  });

  it('reads lines of any system, and no sequence from empty ends', async () => {
    const { inner } = await pack(`${first}\n\n${second}`, 16);
    assert.deepEqual((await pack(`\r\n\r\n${first}\r\n\r\n\r\n${second}\r\n\r\n`, 16)).inner, inner);
  });

  it('has a hash of its sequences', async () => {
    const { hash } = await pack(`${first}\n${second}`, 16);
    assert.equal((await pack(`${first}\r\n${second}\n\n`, 16)).hash, hash);
    assert.notEqual((await pack(`${first}\n\n${second}`, 16)).hash, hash);
    assert.notEqual((await pack(`${first}\n${third}`, 16)).hash, hash);
  });

  it('refuses a file without text, one that is not there, and a folder', async () => {
    for (const text of ['', '\n \n\t\n']) await assert.rejects(pack(text, 16), { code: 'empty-corpus' });
    const tokenizer = await loadTokenizer(tokenizerFolder);
    await assert.rejects(loadCorpus(scene.path('none.txt'), tokenizer, 16), { code: 'file-not-found' });
    await assert.rejects(loadCorpus(scene.path('encoder'), tokenizer, 16), { code: 'not-a-file' });
  });
});

describe('kdx finetune --task mlm', () => {
  const options = (out: string) => ({
    model: scene.path('encoder'),
    corpus: scene.path('text.txt'),
    out: scene.path(out),
    train: finetuneSchema.parse({ train: { ...tinyTraining, epochs: 4 } }).train,
    engine: scene.engine,
    resume: false,
    progress: silentProgress,
    signal: new AbortController().signal,
  });

  it('learns the text, and leaves a masked language model that is finetuned further', async () => {
    const out = scene.path('pretrained');
    const { result, text } = await runCommand([
      ...['finetune', '--model', scene.path('encoder'), '--task', 'mlm', '--train', scene.path('text.txt')],
      ...['--out', out, '--epochs', '15', '--batch', '8', '--lr', '0.01', '--max-length', '16', '--threads', '1'],
    ]);
    assert.equal(text, '');
    const { task, metrics, primary, steps, bestStep } = result as TrainingResult;
    assert.deepEqual([task, metrics, primary, bestStep], ['corpus', {}, '', steps]);
    const losses = (await loggedSteps(out)).map((entry) => Number(entry['mlm_loss']));
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const [start, end] = [mean(losses.slice(0, 5)), mean(losses.slice(-5))];
    assert.ok(end < 0.6 * start, `${start} ${end}`);

    const pretrained = await loadCheckpoint(out);
    assert.deepEqual([pretrained.hasMaskedLmHead, pretrained.hasHead, pretrained.extra.size], [true, false, 0]);
    const { corpus: _, ...withoutCorpus } = options('finetuned');
    // A rate that changes nothing: what is finetuned is what was pretrained.
    const train = { ...withoutCorpus.train, lr: 1e-30, epochs: 1 };
    await finetune({ ...withoutCorpus, model: out, data: await tinyData(), train });
    const finetuned = await loadCheckpoint(scene.path('finetuned'));
    assert.deepEqual([finetuned.hasMaskedLmHead, finetuned.hasHead], [false, true]);
    for (const [name, value] of pretrained.weights)
      if (!name.startsWith('cls.')) assert.deepEqual(finetuned.weights.get(name), value, name);
  });

  it('goes on where it was stopped, to the same bytes', async () => {
    await finetune(options('whole'));
    const stop = new AbortController();
    const progress = { ...silentProgress, update: (step: number) => step === 3 && stop.abort() } as never;
    await assert.rejects(finetune({ ...options('stopped'), progress, signal: stop.signal }), { name: 'AbortError' });
    await finetune({ ...options('stopped'), resume: true });
    for (const file of ['model.safetensors', 'config.json', 'metrics.jsonl'])
      assert.deepEqual(await readFile(scene.path('stopped', file)), await readFile(scene.path('whole', file)), file);
  });

  it('needs a text', async () => {
    const words = ['finetune', '--model', scene.path('encoder'), '--task', 'mlm', '--out', scene.path('nothing')];
    assert.equal((await runCommand(words)).failure?.code, 'invalid-usage');
  });
});

describe('distillation on plain text', () => {
  const set = ['train.maxLength=8'];

  it('tinybert-general leaves projections that tinybert goes on with, and a classifier without them', async () => {
    const general = await run(scene.engine, {
      ...{ out: scene.path('general'), method: 'tinybert-general', teachers: [scene.path('encoder')], set },
      ...{ student: 'layers=1,hidden=8', corpus: scene.path('text.txt') },
    });
    assert.deepEqual([general.task, general.stages.map(({ name }) => name)], ['corpus', ['general']]);
    const encoder = await loadCheckpoint(general.out);
    assert.deepEqual([encoder.hasHead, encoder.hasMaskedLmHead, encoder.hasPooler], [false, false, false]);
    assert.deepEqual(
      [...encoder.extra].map(([name, { dims }]) => [name, dims]),
      [
        ['fit_dense.weight', [16, 8]],
        ['fit_dense.bias', [16]],
      ],
    );

    const stop = new AbortController();
    const stopping = { ...silentProgress, start: (label: string) => label === 'prediction' && stop.abort() } as never;
    const job = {
      ...{ out: scene.path('specific'), method: 'tinybert', teachers: [scene.path('teacher')] },
      ...{ studentModel: general.out, data: await tinyData() },
      set: [...set, 'intermediate.train.epochs=1', 'intermediate.train.lr=1e-30'],
    };
    await assert.rejects(run(scene.engine, { ...job, progress: stopping, signal: stop.signal }));
    const { tensors } = await readSafetensors(scene.path('specific', 'intermediate.safetensors'));
    for (const [name, value] of [...encoder.extra, ...encoder.weights])
      assert.deepEqual(tensors.get(name), value, name);

    await run(scene.engine, { ...job, resume: true });
    const specific = await loadCheckpoint(job.out);
    assert.deepEqual([specific.hasHead, [...specific.extra]], [true, []]);
  });

  it('distilbert follows a masked language model by three terms', async () => {
    const job = {
      ...{ out: scene.path('distilled'), method: 'distilbert', student: 'layers=1', corpus: scene.path('text.txt') },
      set,
    };
    const { out } = await run(scene.engine, { ...job, teachers: [scene.path('masked-lm')] });
    assert.equal((await loadCheckpoint(out)).hasMaskedLmHead, true);
    for (const entry of await loggedSteps(out)) {
      const [ce, mlm, cos] = ['ce', 'mlm', 'cos'].map((term) => Number(entry[`distilbert_${term}_loss`]));
      assert.ok(Math.abs(5 * ce! + 2 * mlm! + cos! - Number(entry['loss'])) < 1e-4, JSON.stringify(entry));
      assert.ok(ce! > 0 && mlm! > 0 && cos! > 0);
    }
    await assert.rejects(prepare({ ...job, teachers: [scene.path('encoder')] }), {
      code: 'impossible-distillation',
      message: /no masked-language-model head/,
    });
  });

  it('pretrained-kd pretrains the student, then distills it', async () => {
    const job = {
      ...{ out: scene.path('both'), method: 'pretrained-kd', student: 'layers=1', teachers: [scene.path('teacher')] },
      set,
    };
    await assert.rejects(prepare({ ...job, data: await tinyData() }), { message: /--corpus FILE/ });
    const stop = new AbortController();
    const stopping = { ...silentProgress, start: (label: string) => label === 'distillation' && stop.abort() } as never;
    const whole = {
      ...{ ...job, data: await tinyData(), corpus: scene.path('text.txt') },
      set: [...set, 'distillation.train.lr=1e-30'],
    };
    await assert.rejects(run(scene.engine, { ...whole, progress: stopping, signal: stop.signal }));
    const { tensors } = await readSafetensors(scene.path('both', 'pretraining.safetensors'));
    const result = await run(scene.engine, { ...whole, resume: true });

    assert.deepEqual(
      result.stages.map(({ name }) => name),
      ['pretraining', 'distillation'],
    );
    const log = await loggedSteps(job.out);
    for (const [stage, term] of Object.entries({ pretraining: 'mlm_loss', distillation: 'kd_loss' }))
      assert.ok(log.some((entry) => entry.stage === stage && Number(entry[term]) > 0));
    const { weights, hasHead, hasMaskedLmHead, extra } = await loadCheckpoint(job.out);
    assert.deepEqual([hasHead, hasMaskedLmHead, extra.size], [true, false, 0]);
    const start = (await prepare(whole)).student.weights;
    const encoder = [...weights].filter(([name]) => /^bert\.(embeddings|encoder)\./.test(name));
    for (const [name, value] of encoder) assert.deepEqual(value, tensors.get(name), name);
    assert.ok(encoder.some(([name, value]) => value.data[0] !== start.get(name)?.data[0]));
  });
});

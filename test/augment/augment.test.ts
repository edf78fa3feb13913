/** kdx augment as a function: whole files, streaming, killed and resumed runs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadTaskData, type TaskData } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import {
  augment,
  defaultRecipe,
  defaultVariants,
  type AugmentOptions,
  type AugmentRecipe,
} from '../../plugins/distill/src/augment/augment.ts';
import { reviewsFolder, temporaryFolder } from '../support/tiny-classifier.ts';
import { tinyModel } from './tiny-masked-lm.ts';

const recipe: AugmentRecipe = { ...defaultRecipe, variants: 3 };

describe('augment', () => {
  let engine: Engine;
  let reviews: TaskData;
  before(async () => {
    engine = await openEngine({ device: 'cpu', threads: 1 });
    const all = await loadTaskData({ task: 'sst2', dir: reviewsFolder });
    reviews = { ...all, train: all.train.slice(0, 150) };
  });
  after(() => engine.close());

  const base = (dir: string, data: Pick<TaskData, 'task' | 'train'> = reviews): AugmentOptions => ({
    model: join(dir, 'model'),
    data,
    out: join(dir, 'out.jsonl'),
    recipe,
    resume: false,
    engine,
    progress: silentProgress,
    signal: new AbortController().signal,
  });

  async function folderWithModel(t: Parameters<typeof temporaryFolder>[0], head = true): Promise<string> {
    const dir = await temporaryFolder(t);
    await tinyModel(join(dir, 'model'), head);
    return dir;
  }

  async function rowsIn(path: string): Promise<Record<string, unknown>[]> {
    return (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  it('has the paper’s defaults', () => {
    assert.equal(defaultVariants.tinybert, 20);
    assert.deepEqual(
      [defaultRecipe.candidates, defaultRecipe.probability, defaultRecipe.vectorsLimit],
      [15, 0.4, 100_000],
    );
  });

  it('writes every example, its variants behind it, and nothing beside the file', async (t) => {
    const dir = await folderWithModel(t);
    const result = await augment(base(dir));
    const rows = await rowsIn(result.out);
    assert.equal(rows.length, result.rows);
    assert.deepEqual(await readdir(dir), ['model', 'out.jsonl']);
    assert.deepEqual(
      { ...result, rows: 0, withoutVariants: 0 },
      {
        out: join(dir, 'out.jsonl'),
        task: 'sst2',
        method: 'tinybert',
        candidates: 'masked-lm',
        examples: 150,
        rows: 0,
        withoutVariants: 0,
      },
    );
    const perExample = reviews.train.map(({ id }) => rows.filter(({ source }) => source === id).length);
    assert.ok(perExample.every((count) => count >= 1 && count <= 4));
    assert.equal(result.withoutVariants, perExample.filter((count) => count === 1).length);
    const originals = rows.filter(({ origin }) => origin === 'original');
    assert.deepEqual(
      originals,
      reviews.train.map(({ id, text, label }) => ({
        text,
        label: ['negative', 'positive'][label],
        origin: 'original',
        source: id,
      })),
    );
    assert.ok(rows.length > 150 * 3);
    for (const [i, row] of rows.entries()) {
      if (row['origin'] === 'original') continue;
      const before = rows[i - 1]!;
      assert.deepEqual([row['source'], row['label']], [before['source'], before['label']]);
    }
    // It is a training file.
    const read = await loadTaskData({ train: result.out, dev: result.out });
    assert.deepEqual(read.task.labels, ['negative', 'positive']);
    assert.equal(read.train.length, rows.length);
  });

  it('an example’s variants do not depend on which others there are', async (t) => {
    const dir = await folderWithModel(t);
    await augment(base(dir));
    const all = await rowsIn(join(dir, 'out.jsonl'));
    const train = [reviews.train[40]!, reviews.train[3]!];
    await augment({ ...base(dir, { ...reviews, train }), out: join(dir, 'two.jsonl') });
    assert.deepEqual(await rowsIn(join(dir, 'two.jsonl')), [
      ...all.filter(({ source }) => source === 40),
      ...all.filter(({ source }) => source === 3),
    ]);
  });

  it('pairs, regression and tables', async (t) => {
    const dir = await folderWithModel(t);
    await writeFile(
      join(dir, 'pairs.jsonl'),
      [
        '{"text":"Superb screen","pair":"The lens is UGLY","label":0.5}',
        '{"text":"it is","pair":"quiet motor","label":3}',
      ].join('\n'),
    );
    const path = join(dir, 'pairs.jsonl');
    const data = await loadTaskData({ train: path, dev: path, pairColumn: 'pair', regression: true });
    const result = await augment({
      ...base(dir, data),
      out: join(dir, 'sub', 'out.tsv'),
      recipe: { ...recipe, probability: 1 },
    });
    const read = await loadTaskData({ train: result.out, dev: result.out, pairColumn: 'pair', regression: true });
    assert.equal(read.train.length, result.rows);
    const first = read.train.filter(({ label }) => label === 0.5);
    assert.ok(first.length > 3);
    for (const { text, pair } of first.slice(1))
      assert.ok((text === 'Superb screen') !== (pair === 'The lens is UGLY'), `${text} / ${pair}`);
    // Nothing can be replaced in the first text of the second pair.
    assert.ok(read.train.filter(({ label }) => label === 3).every(({ text }) => text === 'it is'));
    assert.equal((await readFile(result.out, 'utf8')).split('\n')[0], 'text\tpair\tlabel\torigin\tsource');
  });

  it('eda, with candidates of the embeddings', async (t) => {
    const dir = await folderWithModel(t, false);
    const result = await augment({ ...base(dir), recipe: { ...recipe, method: 'eda', variants: 4 } });
    assert.equal(result.candidates, 'embeddings');
    const rows = await rowsIn(result.out);
    assert.deepEqual([...new Set(rows.map(({ origin }) => origin))], ['original', 'eda']);
    assert.ok(rows.length > 150 * 3);
  });

  it('counts examples without variants', async (t) => {
    const dir = await folderWithModel(t);
    const train = [
      { id: 0, text: 'It is the .', label: 0 },
      { id: 1, text: 'superb', label: 1 },
    ];
    const result = await augment({ ...base(dir, { ...reviews, train }), recipe: { ...recipe, variants: 20 } });
    assert.equal(result.withoutVariants, 1);
    assert.equal((await rowsIn(result.out)).filter(({ source }) => source === 0).length, 1);
  });

  describe('resume', () => {
    /** Ctrl-C after `count` examples or more. */
    async function stopAfter(options: AugmentOptions, count: number): Promise<void> {
      const controller = new AbortController();
      const progress = { ...silentProgress, update: (done: number) => void (done >= count && controller.abort()) };
      await assert.rejects(augment({ ...options, progress, signal: controller.signal }), { name: 'AbortError' });
    }

    it('gives the same bytes, wherever it was stopped, and whatever was written behind the last whole part', async (t) => {
      const dir = await folderWithModel(t);
      for (const extension of ['jsonl', 'tsv']) {
        const whole = { ...base(dir), out: join(dir, `whole.${extension}`) };
        await augment(whole);
        const expected = await readFile(whole.out, 'utf8');
        for (const count of [1, 64, 128]) {
          const options = { ...base(dir), out: join(dir, `stopped.${extension}`) };
          await stopAfter(options, count);
          assert.ok(!(await readdir(dir)).includes(`stopped.${extension}`), 'nothing under the name');
          const partial = `${options.out}.partial`;
          assert.deepEqual((await readdir(partial)).sort(), ['rows', 'run.json', 'state.json']);
          const written = await readFile(join(partial, 'rows'), 'utf8');
          assert.ok(written.length > 0 && expected.startsWith(written));
          await appendFile(join(partial, 'rows'), '{"text":"half a li');
          const result = await augment({ ...options, resume: true });
          assert.equal(await readFile(options.out, 'utf8'), expected);
          assert.equal(result.rows, (await rowsCount(options.out)) - (extension === 'tsv' ? 1 : 0));
          assert.equal(result.examples, 150);
          await rm(options.out);
        }
      }
    });

    const rowsCount = async (path: string) => (await readFile(path, 'utf8')).trimEnd().split('\n').length;

    it('begins anew when the rows are gone or shorter than they were', async (t) => {
      const dir = await folderWithModel(t);
      await augment({ ...base(dir), out: join(dir, 'whole.jsonl') });
      for (const damage of [(path: string) => rm(path), (path: string) => truncate(path, 10)]) {
        await stopAfter(base(dir), 64);
        await damage(join(dir, 'out.jsonl.partial', 'rows'));
        await augment({ ...base(dir), resume: true });
        assert.equal(await readFile(join(dir, 'out.jsonl'), 'utf8'), await readFile(join(dir, 'whole.jsonl'), 'utf8'));
        await rm(join(dir, 'out.jsonl'));
      }
    });

    it('refuses what is there: a file, unfinished rows without --resume, rows of another recipe or input', async (t) => {
      const dir = await folderWithModel(t);
      const options = base(dir);
      await writeFile(options.out, 'mine');
      for (const resume of [true, false])
        await assert.rejects(augment({ ...options, resume }), { code: 'output-exists' });
      assert.equal(await readFile(options.out, 'utf8'), 'mine');
      await rm(options.out);
      await stopAfter(options, 32);
      await assert.rejects(augment(options), { code: 'run-exists', message: /out\.jsonl\.partial/ });
      const differing: readonly [Partial<AugmentOptions>, RegExp][] = [
        [{ recipe: { ...recipe, probability: 0.5 } }, /recipe\.probability/],
        [{ recipe: { ...recipe, seed: 1 } }, /seed/],
        [{ data: { ...reviews, train: reviews.train.slice(1) } }, /inputs\.train/],
        [{ columns: { text: 'sentence', pair: 'pair', label: 'label' } }, /recipe\.columns/],
      ];
      for (const [changes, says] of differing)
        await assert.rejects(augment({ ...options, ...changes, resume: true }), {
          code: 'run-mismatch',
          message: says,
        });
    });

    it('after kill -9 gives the same bytes', { timeout: 120_000 }, async (t) => {
      const dir = await folderWithModel(t);
      const child = fileURLToPath(new URL('augment-child.ts', import.meta.url));
      const words = ['--conditions=source', '--import', import.meta.resolve('tsx'), child, join(dir, 'model')];
      const run = (out: string) => spawn(process.execPath, [...words, out], { stdio: ['ignore', 'ignore', 'inherit'] });
      const out = join(dir, 'killed.jsonl');
      await mkdir(join(dir, 'other'));
      const whole = once(run(join(dir, 'other', 'killed.jsonl')), 'exit');
      for (const examples of [32, 256]) {
        const killed = run(out);
        const exit = once(killed, 'exit');
        while (killed.exitCode === null && !(await savedExamples(out, examples))) await setTimeout(5);
        killed.kill('SIGKILL');
        assert.deepEqual(await exit, [null, 'SIGKILL'], 'killed before it was done');
      }
      assert.deepEqual(await once(run(out), 'exit'), [0, null]);
      assert.deepEqual(await whole, [0, null]);
      assert.equal(await readFile(out, 'utf8'), await readFile(join(dir, 'other', 'killed.jsonl'), 'utf8'));
      assert.deepEqual((await readdir(dir)).sort(), ['killed.jsonl', 'model', 'other']);
    });

    async function savedExamples(out: string, count: number): Promise<boolean> {
      const text = await readFile(join(`${out}.partial`, 'state.json'), 'utf8').catch(() => '{"state":{"examples":0}}');
      return (JSON.parse(text) as { state: { examples: number } }).state.examples >= count;
    }
  });
});

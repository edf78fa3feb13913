/** The training set of a distillation: a part of the data, with what was made from that part. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { trainingData } from '../../plugins/distill/src/training-data.ts';
import { runCommand } from '../cli/run-command.ts';
import { reviewsFolder, temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { tinyData } from './tiny-run.ts';

/** For each of the first 24 examples its original and two variants, as kdx augment writes them. */
async function augmentedFile(t: TestContext, columns = ['text', 'label', 'origin', 'source']): Promise<string> {
  const { train } = await tinyData();
  const rows = train.flatMap(({ id, text, label }) =>
    ['original', 'tinybert', 'tinybert'].map((origin, i) => ({
      text: i === 0 ? text : `${text} variant ${i} of ${id}`,
      label,
      origin,
      source: id,
    })),
  );
  const path = join(await temporaryFolder(t), 'augmented.tsv');
  const lines = rows.map((row) => columns.map((name) => row[name as 'text']).join('\t'));
  await writeFile(path, [columns.join('\t'), ...lines, ''].join('\n'));
  return path;
}

const sourceOf = (text: string) => Number(/ of (\d+)$/.exec(text)?.[1]);

it('is all examples once, and their variants', async (t) => {
  const all = await tinyData();
  const { train, dev } = await trainingData(all, { augmented: [await augmentedFile(t)], seed: 1 });
  assert.equal(train.length, 24 * 3);
  assert.deepEqual(train.slice(0, 24), all.train);
  assert.equal(new Set(train.map(({ text }) => text)).size, new Set(all.train.map(({ text }) => text)).size + 48);
  assert.equal(dev, all.dev);
});

it('with a limit is a part of the examples, and their variants alone', async (t) => {
  const all = await tinyData();
  const files = [await augmentedFile(t), await augmentedFile(t)];
  for (const count of [1, 7, 23]) {
    const { train } = await trainingData(all, { augmented: files, limit: count, seed: 1 });
    const chosen = new Set(train.slice(0, count).map(({ id }) => id));
    assert.deepEqual(
      [...chosen],
      (await trainingData(all, { augmented: [], limit: count, seed: 1 })).train.map(({ id }) => id),
    );
    const variants = train.slice(count);
    assert.equal(variants.length, count * 4);
    assert.ok(variants.every(({ text }) => chosen.has(sourceOf(text))));
  }
});

it('with a limit of everything is everything, for which no source is needed', async (t) => {
  const augmented = [await augmentedFile(t, ['text', 'label', 'origin'])];
  const { train } = await trainingData(await tinyData(), { augmented, limit: 24, seed: 1 });
  assert.equal(train.length, 24 * 3);
});

it('is refused by kdx distill where it cannot be said which rows belong to the part', async (t) => {
  const model = await temporaryFolder(t);
  await writeTinyClassifier(model);
  const augmented = await augmentedFile(t, ['text', 'label', 'origin']);
  const { failure, text } = await runCommand([
    ...['distill', '--teacher', model, '--student', 'layers=1', '--data', reviewsFolder, '--task', 'sst2', '--dry-run'],
    ...['--augmented', augmented, '--limit', '10'],
  ]);
  assert.deepEqual([failure?.code, failure?.exitCode], ['unknown-source', 2]);
  assert.ok(text.includes(augmented));
});

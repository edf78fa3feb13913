/** kdx augment as it is typed. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadTaskData } from '../../src/data/index.ts';
import type { AugmentResult } from '../../plugins/distill/src/augment/index.ts';
import { goodData, goodInput, runIn, tableOfBadInputs, usePlace, type BadInput } from '../cli/bad-input.ts';
import { tinyModel } from './tiny-masked-lm.ts';

const command = ['augment', '--model', '@model', ...goodData, '--device', 'cpu', '--out', '@out.jsonl'];

/** A row of the table: the good command, whose flags are replaced by those of `words`. */
function wrong(name: string, words: readonly string[], row: Omit<BadInput, 'name' | 'words'>): BadInput {
  const kept = command.filter((word, i) => !words.includes(word) && !words.includes(command[i - 1] as string));
  return { name, given: goodInput, words: [...kept, ...words], ...row };
}

describe('refuses', () => {
  const without = (flag: string) => command.filter((word, i) => word !== flag && command[i - 1] !== flag);
  tableOfBadInputs([
    { name: 'no --out', words: without('--out'), code: 'invalid-usage', says: ['--out'] },
    { name: 'no --model', words: without('--model'), code: 'invalid-usage', says: ['--model'] },
    { ...wrong('no examples', [], { code: 'invalid-usage', says: ['examples are needed'] }), words: without('--data') },
    wrong('an unknown format', ['--out', '@out.txt'], { code: 'unknown-data-format', says: ['@out.txt', '.jsonl'] }),
    wrong('an existing file', ['--out', '@data/dev.tsv'], { code: 'output-exists', says: ['@data/dev.tsv'] }),
    wrong('an existing folder', ['--out', '@out.csv'], {
      given: async (folder) => {
        await goodInput(folder);
        await mkdir(join(folder, 'out.csv'));
      },
      code: 'output-exists',
      says: ['@out.csv'],
    }),
    wrong('a probability above 1', ['--probability', '1.5'], {
      code: 'invalid-usage',
      says: ['--probability', 'at most 1'],
    }),
    wrong('no variants', ['-n', '0'], { code: 'invalid-usage', says: ['variants'] }),
    wrong('no candidates', ['--candidates', '0'], { code: 'invalid-usage', says: ['candidates'] }),
    wrong('an unknown method', ['--method', 'bert'], { code: 'invalid-usage', says: ['tinybert', 'eda'] }),
    wrong('--probability of eda', ['--method', 'eda', '--probability', '0.1'], {
      code: 'invalid-usage',
      says: ['--probability is for --method tinybert'],
    }),
    wrong('--eda-alpha of tinybert', ['--eda-alpha', '0.1'], {
      code: 'invalid-usage',
      says: ['--eda-alpha is for --method eda'],
    }),
    wrong('a model that is not there', ['--model', '@none'], { code: 'file-not-found', says: ['@none'] }),
    wrong('vectors that are not there', ['--vectors', '@none'], {
      code: 'file-not-found',
      says: ['@none'],
      suggests: false,
    }),
    wrong('vectors that are none', ['--vectors', '@data/dev.tsv'], {
      code: 'invalid-vectors',
      says: ['@data/dev.tsv:1'],
    }),
    wrong('stop words that are not there', ['--stop-words', '@none'], {
      code: 'file-not-found',
      says: ['@none'],
      suggests: false,
    }),
    wrong('a task with another file', ['--task', 'mrpc'], { code: 'missing-column', says: ['#1 String'] }),
  ]);
});

describe('kdx augment', () => {
  const place = usePlace();

  async function run(words: readonly string[]): Promise<{ folder: string; result: AugmentResult }> {
    const folder = await place.folder();
    await goodInput(folder);
    await tinyModel(join(folder, 'lm'));
    await writeFile(join(folder, 'own.csv'), 'review,stars\n"The hinge, superb",5\nugly lens,1\nquiet motor,3\n');
    const { result, text } = await runIn(folder, ['augment', '--device', 'cpu', ...words]);
    assert.ok(result, text);
    return { folder, result: result as AugmentResult };
  }

  it('has the defaults of the paper', async () => {
    const { folder, result } = await run(['--model', '@lm', ...goodData, '--out', '@out.tsv']);
    assert.deepEqual(
      [result.method, result.candidates, result.task, result.examples],
      ['tinybert', 'masked-lm', 'sst2', 4],
    );
    const lines = (await readFile(join(folder, 'out.tsv'), 'utf8')).trimEnd().split('\n');
    assert.equal(lines[0], 'text\tlabel\torigin\tsource');
    assert.equal(lines[1], 'the screen is superb\tpositive\toriginal\t0');
    assert.equal(lines.length - 1, result.rows);
  });

  it('--keep-columns: read as the task, beside its own dev.tsv', async () => {
    const { folder, result } = await run(['--model', '@lm', ...goodData, '--keep-columns', '--out', '@out.jsonl']);
    const source = { task: 'sst2', train: join(folder, 'out.jsonl'), dev: join(folder, 'data/dev.tsv') };
    const { task, train, dev } = await loadTaskData(source);
    assert.deepEqual([task.name, train.length, dev.length], ['sst2', result.rows, 4]);
    assert.deepEqual(train[0], { id: 0, text: 'the screen is superb', label: 1 });
  });

  it('own files, without a development file; vectors and stop words of one’s own', async () => {
    const own = ['--train', '@own.csv', '--text-column', 'review', '--label-column', 'stars'];
    const { folder, result } = await run([
      ...own,
      '--model',
      '@lm',
      '--probability',
      '1',
      '-n',
      '3',
      '--out',
      '@out.csv',
    ]);
    assert.equal(result.task, 'custom');
    assert.match(
      await readFile(join(folder, 'out.csv'), 'utf8'),
      /^text,label,origin,source\n"The hinge, superb",5,original,0\n/,
    );

    await writeFile(join(folder, 'vectors.txt'), 'superb 1 0\nsplendid 2 0\nugly 0 1\nhideous 0 3\n');
    await writeFile(join(folder, 'stop.txt'), 'ugly\n');
    const words = ['--vectors', '@vectors.txt', '--stop-words', '@stop.txt', '--candidates', '1', '--probability', '1'];
    const all = ['augment', '--device', 'cpu', ...own, ...words, '--model', '@model', '--out', '@other.csv'];
    const { result: other, text } = await runIn(folder, all);
    assert.ok(other, text);
    assert.equal((other as AugmentResult).candidates, 'vectors');
    assert.deepEqual((await readFile(join(folder, 'other.csv'), 'utf8')).trimEnd().split('\n'), [
      'text,label,origin,source',
      '"The hinge, superb",5,original,0',
      '"the hinge , splendid",5,tinybert,0',
      'ugly lens,1,original,1',
      'quiet motor,3,original,2',
    ]);
  });

  it('regression, eda', async () => {
    const own = ['--train', '@own.csv', '--dev', '@nowhere.csv', '--text-column', 'review', '--label-column', 'stars'];
    const { folder, result } = await run([
      ...own,
      '--regression',
      '--method',
      'eda',
      '--model',
      '@model',
      '--out',
      '@out.jsonl',
    ]);
    assert.deepEqual([result.method, result.candidates], ['eda', 'embeddings']);
    const rows = (await readFile(join(folder, 'out.jsonl'), 'utf8')).trimEnd().split('\n');
    assert.equal(rows[0], '{"text":"The hinge, superb","label":5,"origin":"original","source":0}');
    assert.ok(rows.length > 8 && rows.length <= 30);
  });
});

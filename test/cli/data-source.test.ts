/** Data flags: which examples they mean, and whose labels. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { dataSource, loadModelData } from '../../src/cli/data-source.ts';

const config = {
  model_type: 'bert',
  vocab_size: 10,
  hidden_size: 4,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 8,
  max_position_embeddings: 16,
  type_vocab_size: 2,
};

describe('examples for a model', () => {
  let folder: string;
  let dev: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kdx-data-'));
    dev = join(folder, 'dev.csv');
    await writeFile(dev, 'text,label\na fine day,yes\na dull day,no\na fine night,yes\n');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const labelled = async (more: object) => {
    await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, ...more }));
    const { task, dev: examples } = await loadModelData({ dev }, folder);
    return { labels: task.labels, ids: examples.map(({ label }) => label), kind: task.kind };
  };

  it('have the labels of the model in its order, also one that the file lacks', async () => {
    const id2label = { 0: 'yes', 1: 'maybe', 2: 'no' };
    const found = await labelled({ id2label });
    assert.deepEqual(found, { labels: ['yes', 'maybe', 'no'], ids: [0, 2, 0], kind: 'classification' });
  });

  it('have the labels of the file where the model names none', async () => {
    const found = await labelled({ num_labels: 2 });
    assert.deepEqual(found, { labels: ['no', 'yes'], ids: [1, 0, 1], kind: 'classification' });
  });

  it('are numbers where the model predicts one', async () => {
    await writeFile(dev, 'text,label\na fine day,1.5\na dull day,-2\n');
    const found = await labelled({ num_labels: 1, problem_type: 'regression' });
    assert.deepEqual(found, { labels: [], ids: [1.5, -2], kind: 'regression' });
  });
});

describe('usage', () => {
  const cases: [string, Parameters<typeof dataSource>[0], RegExp][] = [
    ['nothing', {}, /examples are needed/],
    ['a folder without a task', { data: 'x' }, /needs --task/],
    ['a folder and a file', { data: 'x', task: 'sst2', dev: 'y' }, /exclude each other/],
    ['a folder and a column', { data: 'x', task: 'sst2', 'text-column': 'y' }, /columns of its own/],
    ['a folder and --regression', { data: 'x', task: 'sst2', regression: true }, /what its labels are/],
  ];
  for (const [title, flags, message] of cases)
    it(`${title} is refused`, () => {
      assert.throws(() => dataSource(flags), { code: 'invalid-usage', message });
    });
});

/** Files of examples made from others: formats, mistakes with file and line, and how they join a training set. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { KdxError } from '../../src/errors/index.ts';
import { loadExtraExamples, taskNamed, withExtraExamples, type Example } from '../../src/data/index.ts';

const folder = await mkdtemp(join(tmpdir(), 'kdx-extra-'));
after(() => rm(folder, { recursive: true }));
let files = 0;

async function written(extension: string, content: string): Promise<string> {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, content);
  return path;
}

const sst2 = taskNamed('sst2');
const mrpc = taskNamed('mrpc');

describe('files', () => {
  const rows = [
    { id: 0, text: 'a fine film', label: 1, origin: 'original', source: 0 },
    { id: 1, text: 'a good film', label: 1, origin: 'tinybert', source: 0 },
  ];
  const formats: Readonly<Record<string, string>> = {
    tsv: 'text\tlabel\torigin\tsource\na fine film\t1\toriginal\t0\na good film\t1\ttinybert\t0\n',
    csv: 'source,origin,label,text\n0,original,1,a fine film\n0,tinybert,1,a good film\n',
    jsonl:
      '{"text":"a fine film","label":1,"origin":"original","source":0}\n' +
      '{"text":"a good film","label":"1","origin":"tinybert","source":0,"score":0.5}\n',
  };
  for (const [extension, content] of Object.entries(formats))
    it(`.${extension}`, async () => {
      assert.deepEqual(await loadExtraExamples(await written(extension, content), sst2), rows);
    });

  it('without origin and source', async () => {
    const path = await written('tsv', 'text\tlabel\nfine\t1\n');
    const [row] = await loadExtraExamples(path, sst2);
    assert.deepEqual(row, { id: 0, text: 'fine', label: 1, origin: 'extra', source: undefined });
  });

  it('of a task on pairs, and of a regression', async () => {
    const pairs = await written('csv', 'text,pair,label,source\n"one, two",three,0,\n');
    assert.deepEqual(await loadExtraExamples(pairs, mrpc), [
      { id: 0, text: 'one, two', pair: 'three', label: 0, origin: 'extra', source: undefined },
    ]);
    const scores = await written('tsv', 'text\tpair\tlabel\na\tb\t2.5\n');
    assert.equal((await loadExtraExamples(scores, taskNamed('stsb')))[0]?.label, 2.5);
  });
});

describe('mistakes in files', () => {
  const cases: readonly [title: string, content: string, code: string, parts: readonly string[]][] = [
    ['an unknown label', 'text\tlabel\nfine\t1\nbad\tbad\n', 'unknown-label', [':3: label "bad" is not one of']],
    ['an empty text', 'text\tlabel\n \t1\n', 'empty-text', [':2: the text is empty']],
    [
      'a source that is no row',
      'text\tlabel\tsource\na\t1\t-1\nb\t1\t1.5\nc\t1\tx\n',
      'invalid-source',
      [':2:', ':3:', ':4:'],
    ],
    ['no label column', 'text\tsentiment\nfine\t1\n', 'missing-column', [':1: no column "label"', '"sentiment"']],
    ['two origins', 'text\tlabel\torigin\torigin\na\t1\tb\tb\n', 'duplicate-column', ['"origin"']],
    ['all at once', 'text\tlabel\n\t1\na\t7\nb\t1\n', 'empty-text', [':2: the text', ':3: label "7"']],
  ];
  for (const [title, content, code, parts] of cases)
    it(title, async () => {
      const path = await written('tsv', content);
      await assert.rejects(loadExtraExamples(path, sst2), (error: KdxError) => {
        assert.equal(error.code, code);
        for (const part of [path, ...parts]) assert.ok(error.message.includes(part), `${error.message}\n${part}`);
        return true;
      });
    });

  it('an empty second text', async () => {
    const path = await written('tsv', 'text\tpair\tlabel\na\t\t1\n');
    await assert.rejects(loadExtraExamples(path, mrpc), /:2: the second text is empty/);
  });

  it('an origin in some lines only, which would take originals for new examples', async () => {
    const path = await written('jsonl', '{"text":"a","label":1,"origin":"original"}\n{"text":"b","label":1}\n');
    await assert.rejects(loadExtraExamples(path, sst2), /:2: no key "origin"/);
  });
});

describe('joined to a training set', () => {
  const train: Example[] = [3, 5, 8].map((id) => ({ id, text: `text ${id}`, label: id % 2 }));
  const made = (source: number | undefined, text: string, origin = 'tinybert') => ({
    id: 0,
    text,
    label: 1,
    origin,
    source,
  });
  const path = 'augmented.tsv';
  const texts = (examples: readonly Example[]) => examples.map(({ text }) => text);

  it('originals are there already', () => {
    const rows = [made(3, 'text 3', 'original'), made(3, 'new'), made(5, 'text 5', 'original')];
    const joined = withExtraExamples(train, [{ path, rows }], true);
    assert.deepEqual(texts(joined), ['text 3', 'text 5', 'text 8', 'new']);
    assert.equal(new Set(joined.map(({ id }) => id)).size, 4);
    assert.deepEqual(Object.keys(joined[3]!), ['id', 'text', 'label']);
  });

  it('what was made from an example that is not there is left out', () => {
    const rows = [made(3, 'of 3'), made(4, 'of 4'), made(8, 'of 8')];
    for (const isWhole of [true, false])
      assert.deepEqual(texts(withExtraExamples(train, [{ path, rows }], isWhole)).slice(3), ['of 3', 'of 8']);
  });

  it('no file is taken for the source of another', () => {
    // The rows of the first file get the ids 9 and 10.
    const first = { path, rows: [made(3, 'of 3'), made(5, 'of 5')] };
    const second = { path, rows: [made(9, 'of 9'), made(8, 'of 8')] };
    assert.deepEqual(texts(withExtraExamples(train, [first, second], false)).slice(3), ['of 3', 'of 5', 'of 8']);
  });

  it('without a source they join a whole training set, and no part of one', () => {
    const file = { path, rows: [made(undefined, 'from anywhere')] };
    assert.deepEqual(texts(withExtraExamples(train, [file], true)).slice(3), ['from anywhere']);
    assert.throws(
      () => withExtraExamples(train, [file], false),
      (error: KdxError) =>
        error.code === 'unknown-source' && error.message.includes(path) && error.suggestions.length === 2,
    );
  });
});

/** Augmented files are read back by loadTaskData, whatever the texts hold. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { customTask, loadTaskData, taskNamed, type FileSource } from '../../src/data/index.ts';
import { columnsAsRead } from '../../plugins/distill/src/augment/columns.ts';
import { rowFormat } from '../../plugins/distill/src/augment/row-format.ts';
import type { AugmentedRow } from '../../plugins/distill/src/augment/rows.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';

const nasty = [
  'plain',
  ' spaces around ',
  'a "quoted" text',
  '"',
  "it's, well",
  '\u00e9\u4e2d\u{1f600}',
  '#1',
  'x\ry',
  '\ufeffmark',
];
const lines = ['two\nlines', 'two\r\nlines', 'a\ttab'];

function rowsFor(texts: readonly string[], label: (i: number) => number, isPair: boolean): AugmentedRow[] {
  return texts.map((text, i) => ({
    text,
    ...(isPair && { pair: texts[(i + 1) % texts.length] as string }),
    label: label(i),
    origin: i === 0 ? 'original' : 'tinybert',
    source: i,
  }));
}

describe('rowFormat', () => {
  for (const extension of ['.tsv', '.csv', '.jsonl', '.ndjson', '.TSV'])
    for (const kind of ['classes', 'pairs', 'regression'] as const)
      it(`${extension}, ${kind}`, async (t) => {
        const path = join(await temporaryFolder(t), `augmented${extension}`);
        const texts = /tsv/i.test(extension) ? nasty : [...nasty, ...lines];
        const task = customTask({
          labels: ['bad, really', 'good'],
          regression: kind === 'regression',
          pair: kind === 'pairs',
        });
        const labelOf = kind === 'regression' ? (i: number) => i / 3 - 1 : (i: number) => i % 2;
        const rows = rowsFor(texts, labelOf, task.pair);
        const format = rowFormat(path, task);
        await writeFile(path, format.header + rows.map((row) => format.line(row)).join(''));
        const source: FileSource = { train: path, dev: path, ...(task.pair && { pairColumn: 'pair' }) };
        const found = await loadTaskData({ ...source, regression: kind === 'regression' });
        assert.deepEqual(found.task.labels, task.labels);
        assert.deepEqual(
          found.train,
          rows.map(({ text, pair, label }, id) => ({ id, text, ...(pair !== undefined && { pair }), label })),
        );
      });

  it('writes label names, the origin and the source', () => {
    const format = rowFormat('x.csv', taskNamed('mnli'));
    assert.equal(format.header, 'text,pair,label,origin,source\n');
    const row: AugmentedRow = { text: 'a', pair: 'b, c', label: 2, origin: 'eda', source: 12 };
    assert.equal(format.line(row), 'a,"b, c",contradiction,eda,12\n');
    assert.equal(
      rowFormat('x.jsonl', taskNamed('stsb')).line({ ...row, label: 3.8 }),
      '{"text":"a","pair":"b, c","label":3.8,"origin":"eda","source":12}\n',
    );
  });

  it('refuses other extensions', () => {
    for (const [path, suggestion] of [
      ['out.txt', '--out out.jsonl'],
      ['dir.d/out', '--out dir.d/out.jsonl'],
    ] as const)
      assert.throws(() => rowFormat(path, taskNamed('sst2')), {
        code: 'unknown-data-format',
        suggestions: [suggestion],
      });
  });

  it('refuses tabs and line breaks in a tab-separated file, before anything is written', () => {
    const examples = (text: string) => [
      { id: 0, text: 'fine', label: 0 },
      { id: 1, text, label: 1 },
    ];
    for (const text of ['a\tb', 'a\nb']) {
      assert.throws(() => rowFormat('x.tsv', taskNamed('sst2')).check(examples(text)), {
        code: 'unwritable-text',
        message: /example 1/,
      });
      rowFormat('x.csv', taskNamed('sst2')).check(examples(text));
    }
  });
});

describe('columnsAsRead', () => {
  const file = { train: 't.csv', dev: 't.csv' };
  const rows: readonly [source: Parameters<typeof columnsAsRead>[0], text: string, pair: string, label: string][] = [
    [{ task: 'SST-2', dir: 'd' }, 'sentence', 'pair', 'label'],
    [{ task: 'mrpc', dir: 'd' }, '#1 String', '#2 String', 'Quality'],
    [file, 'text', 'pair', 'label'],
    [{ ...file, textColumn: 'review', labelColumn: 'stars' }, 'review', 'pair', 'stars'],
    [{ ...file, task: 'custom', pairColumn: 'other' }, 'text', 'other', 'label'],
    [{ ...file, task: 'rte' }, 'sentence1', 'sentence2', 'label'],
    [{ task: 'cola', dir: 'd' }, 'sentence', 'pair', 'label'],
  ];
  for (const [source, text, pair, label] of rows)
    it(JSON.stringify(source), () => assert.deepEqual(columnsAsRead(source, 'x.jsonl'), { text, pair, label }));

  it('refuses a table of CoLA, whose files have no header', () => {
    assert.throws(() => columnsAsRead({ task: 'cola', dir: 'd' }, 'x.tsv'), { code: 'invalid-usage' });
  });

  it('refuses a column that is called like an added one', () => {
    const columns = { text: 'source', pair: 'pair', label: 'label' };
    assert.throws(() => rowFormat('x.csv', taskNamed('sst2'), columns), {
      code: 'duplicate-column',
      message: /"source"/,
    });
  });
});

/** Tasks and their files: layouts as distributed, formats, labels, and every kind of bad input. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { KdxError } from '../../src/errors/index.ts';
import {
  datasetHash,
  limitExamples,
  loadTaskData,
  taskNamed,
  taskNames,
  type FileSource,
  type TaskData,
} from '../../src/data/index.ts';
import { noRealData, realData } from './real-data.ts';

const scratch = await mkdtemp(join(tmpdir(), 'kdx-tasks-'));
after(() => rm(scratch, { recursive: true }));
let folders = 0;

type Content = string | Uint8Array;

/** A fresh folder with these files. */
async function folder(contents: Readonly<Record<string, Content>>): Promise<string> {
  const dir = join(scratch, String(folders++));
  await mkdir(dir);
  for (const [name, content] of Object.entries(contents)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), content);
  }
  return dir;
}

async function loadFolder(task: string, train: string, dev: string, devFile = 'dev.tsv'): Promise<TaskData> {
  return loadTaskData({ task, dir: await folder({ 'train.tsv': train, [devFile]: dev }) });
}

/** Loads two files of one format; `dev` is the same as `train` unless given. */
async function loadFiles(
  format: string,
  train: Content,
  options: Omit<FileSource, 'train' | 'dev'> & { dev?: Content } = {},
): Promise<TaskData> {
  const { dev = train, ...source } = options;
  const dir = await folder({ [`train.${format}`]: train, [`dev.${format}`]: dev });
  return loadTaskData({ ...source, train: join(dir, `train.${format}`), dev: join(dir, `dev.${format}`) });
}

async function failure(work: Promise<unknown>): Promise<KdxError> {
  const error = await work.then(
    () => assert.fail('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof KdxError, String(error));
  assert.equal(error.exitCode, 2);
  return error;
}

/** The message without the folder's path. */
const plain = (error: KdxError) => error.message.replaceAll(/\S*kdx-tasks-[^/]*\/\d+\/?/g, '');

const rows: Readonly<Record<string, { file: string; dev?: string; expected: object[] }>> = {
  sst2: {
    file: 'sentence\tlabel\nit "works \t1\nnot good\t0\n',
    expected: [
      { id: 0, text: 'it "works ', label: 1 },
      { id: 1, text: 'not good', label: 0 },
    ],
  },
  mrpc: {
    file: '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\t" quoted " , he said\t"a\r\n0\t9\t9\tb\tc"d\r\n',
    expected: [
      { id: 0, text: '" quoted " , he said', pair: '"a', label: 1 },
      { id: 1, text: 'b', pair: 'c"d', label: 0 },
    ],
  },
  rte: {
    file: 'index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n1\tc\td\tentailment',
    expected: [
      { id: 0, text: 'a', pair: 'b', label: 1 },
      { id: 1, text: 'c', pair: 'd', label: 0 },
    ],
  },
  cola: {
    file: 'gj04\t1\t\tOne more.\ncj99\t0\t*\tMore the.\n',
    expected: [
      { id: 0, text: 'One more.', label: 1 },
      { id: 1, text: 'More the.', label: 0 },
    ],
  },
  stsb: {
    file: 'index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tg\tf\ty\to\ts\ts\ta\tb\t3.800\n',
    expected: [{ id: 0, text: 'a', pair: 'b', label: 3.8 }],
  },
  qnli: {
    file: 'index\tquestion\tsentence\tlabel\n0\tq?\tan answer\tentailment\n1\tq?\tno\tnot_entailment\n',
    expected: [
      { id: 0, text: 'q?', pair: 'an answer', label: 0 },
      { id: 1, text: 'q?', pair: 'no', label: 1 },
    ],
  },
  qqp: {
    file: 'id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\ta?\tb?\t0\n2\t3\t4\tc?\td?\t1\n',
    expected: [
      { id: 0, text: 'a?', pair: 'b?', label: 0 },
      { id: 1, text: 'c?', pair: 'd?', label: 1 },
    ],
  },
  mnli: {
    file: 'index\tpromptID\tsentence1\tsentence2\tlabel1\tgold_label\n0\t1\ta\tb\tx\tneutral\n1\t2\tc\td\tx\tcontradiction\n2\t2\te\tf\tx\tentailment\n',
    dev: 'dev_matched.tsv',
    expected: [
      { id: 0, text: 'a', pair: 'b', label: 1 },
      { id: 1, text: 'c', pair: 'd', label: 2 },
      { id: 2, text: 'e', pair: 'f', label: 0 },
    ],
  },
  wnli: {
    file: 'index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n1\tc\td\t0\n',
    expected: [
      { id: 0, text: 'a', pair: 'b', label: 1 },
      { id: 1, text: 'c', pair: 'd', label: 0 },
    ],
  },
};

test('every task has a sample here', () => assert.deepEqual(Object.keys(rows).sort(), [...taskNames].sort()));

for (const [name, { file, dev, expected }] of Object.entries(rows)) {
  test(`the layout of ${name}`, async () => {
    const data = await loadFolder(name, file, file, dev);
    assert.deepEqual(data.train, expected);
    assert.deepEqual(data.dev, expected);
    assert.deepEqual(data.warnings, []);
    assert.equal(data.task.pair, 'pair' in expected[0]!);
    assert.equal(data.task.outputs, data.task.kind === 'regression' ? 1 : data.task.labels.length);
  });
}

// Folder, whether there is a header, and rows of dev with label id 1, counted with cut, sort and uniq.
const real: Readonly<Record<string, readonly [string, boolean, number | undefined]>> = {
  sst2: ['SST-2', true, 444],
  mrpc: ['MRPC', true, 279],
  rte: ['RTE', true, 131],
  cola: ['CoLA', false, 721],
  stsb: ['STS-B', true, undefined],
};

for (const [task, [name, header, ones]] of Object.entries(real)) {
  test(`${name} as distributed: an example for every line`, { skip: noRealData }, async () => {
    const dir = join(realData, 'glue', name);
    const data = await loadTaskData({ task, dir });
    assert.deepEqual(data.warnings, []);
    for (const split of ['train', 'dev'] as const) {
      const lines = (await readFile(join(dir, `${split}.tsv`), 'utf8')).trimEnd().split('\n').length;
      assert.equal(data[split].length, lines - Number(header));
    }
    if (ones !== undefined) assert.equal(data.dev.filter(({ label }) => label === 1).length, ones);
  });
}

test('task names may be written as in papers; an unknown one lists the known', async () => {
  assert.equal(taskNamed('SST-2').name, 'sst2');
  assert.equal(taskNamed('STS-B').primary, 'pearson_spearman');
  assert.deepEqual(taskNamed('mnli').labels, ['entailment', 'neutral', 'contradiction']);
  assert.throws(() => taskNamed('sst3'), { code: 'unknown-task', message: /"sst3".*sst2, mrpc, rte/ });
});

test('a split that is not asked for is not opened', async () => {
  const dir = await folder({ 'train.tsv': 'x', 'dev.tsv': rows['sst2']!.file });
  const data = await loadTaskData({ task: 'sst2', dir }, { splits: ['dev'] });
  assert.deepEqual([data.train.length, data.dev.length, data.warnings], [0, 2, []]);
});

test('CSV is read by RFC 4180: quotes, doubled quotes, line breaks in cells', async () => {
  const file = 'id,text,label\r\n1,"a ""b"", c",pos\r\n2,"two\r\nlines",neg\r\n3,plain,pos\r\n';
  const { task, train } = await loadFiles('csv', file);
  assert.deepEqual(task.labels, ['neg', 'pos']);
  assert.deepEqual(
    train.map(({ text, label }) => [text, label]),
    [
      ['a "b", c', 1],
      ['two\r\nlines', 0],
      ['plain', 1],
    ],
  );
});

test('JSON lines take names, numbers and booleans as labels', async () => {
  const file = '{"s":"a","t":"b","y":true}\n\n{"y":false,"s":"c","t":"d"}\r\n';
  const { task, train } = await loadFiles('jsonl', file, { textColumn: 's', pairColumn: 't', labelColumn: 'y' });
  assert.deepEqual(task.labels, ['false', 'true']);
  assert.deepEqual(train, [
    { id: 0, text: 'a', pair: 'b', label: 1 },
    { id: 1, text: 'c', pair: 'd', label: 0 },
  ]);
  const numbered = await loadFiles('jsonl', '{"text":"a","label":1}\n{"text":"b","label":0}\n');
  assert.deepEqual(numbered.task.labels, ['0', '1']);
});

test('inferred labels: numbers by value, words by code unit; given labels keep their order', async () => {
  const numbers = 'text\tlabel\na\t10\nb\t9\nc\t-1\n';
  assert.deepEqual((await loadFiles('tsv', numbers)).task.labels, ['-1', '9', '10']);
  const mixed = 'text\tlabel\na\t10\nb\t9\nc\tx\n';
  assert.deepEqual((await loadFiles('tsv', mixed)).task.labels, ['10', '9', 'x']);
  const given = await loadFiles('tsv', 'text\tlabel\na\tno\nb\t0\n', { labels: ['yes', 'no', 'maybe'] });
  assert.deepEqual(
    given.train.map(({ label }) => label),
    [1, 0],
  );
  assert.deepEqual(given.warnings, ['no training example has the label maybe']);
  const swapped = await loadFiles('tsv', 'text\tlabel\na\t0\nb\t1\n', { labels: ['1', '0'] });
  assert.deepEqual(
    swapped.train.map(({ label }) => label),
    [1, 0],
    'a name goes before an id',
  );
});

test('the metrics of an own task follow from its labels', async () => {
  const two = await loadFiles('tsv', 'text\tlabel\na\tx\nb\ty\n');
  assert.deepEqual([two.task.metrics, two.task.primary, two.task.outputs], [['accuracy', 'f1'], 'accuracy', 2]);
  const three = await loadFiles('tsv', 'text\tlabel\na\tx\nb\ty\nc\tz\n');
  assert.deepEqual(three.task.metrics, ['accuracy']);
  const numbers = await loadFiles('tsv', 'text\tlabel\na\t-1.5\nb\t2e3\n', { regression: true });
  assert.deepEqual([numbers.task.primary, numbers.task.outputs], ['pearson_spearman', 1]);
  assert.deepEqual(
    numbers.train.map(({ label }) => label),
    [-1.5, 2000],
  );
});

test('files of one’s own take labels and metrics of a named task', async () => {
  const { task, dev } = await loadFiles('csv', 'quote,verdict\nfine,positive\nbad,0\n', {
    task: 'sst2',
    textColumn: 'quote',
    labelColumn: 'verdict',
  });
  assert.deepEqual([task.name, task.labels], ['sst2', ['negative', 'positive']]);
  assert.deepEqual(
    dev.map(({ label }) => label),
    [1, 0],
  );
  const cola = await loadFiles('tsv', rows['cola']!.file, { task: 'cola' });
  assert.deepEqual(cola.dev, rows['cola']!.expected);
});

test('broken rows of QQP as distributed are left out with a warning', async () => {
  const file = rows['qqp']!.file + '3\t5\t6\tonly one question\t1\n4\t7\t8\t\td?\t1\n';
  const data = await loadFolder('qqp', file, rows['qqp']!.file);
  assert.deepEqual(data.train, rows['qqp']!.expected);
  assert.equal(data.warnings.length, 1);
  assert.match(data.warnings[0]!, /^2 broken rows left out, the first: \S*train\.tsv:4: 6 columns expected, found 5$/);
  const header = rows['qqp']!.file.split('\n')[0]!;
  const error = await failure(loadFolder('qqp', `${header}\nx\n`, rows['qqp']!.file));
  assert.equal(error.code, 'ragged-row');
});

// Format, content of both files, code, message. Two files have the same problems: the lines of the first are given.
// prettier-ignore
const bad: readonly (readonly [string, string, Content, string, string])[] = [
  ['a label outside the set', 'tsv', 'text\tlabel\na\tyes\nb\tno\nc\tYes\n', 'unknown-label', ':4: label "Yes" is not one of "no", "yes", or an id from 0 to 1'],
  ['an empty label', 'tsv', 'text\tlabel\na\tyes\nb\t\nc\tno\n', 'unknown-label', ':3: label "" is not one of "no", "yes", or an id from 0 to 1'],
  ['a missing column', 'tsv', 'sentence\tlabel\na\t0\n', 'missing-column', ':1: no column "text"; columns found: "sentence", "label"'],
  ['a column twice', 'csv', 'text,text,label\na,b,0\n', 'duplicate-column', ':1: more than one column is called "text"'],
  ['too few cells', 'tsv', 'text\tlabel\na\t0\nb\nc\t1\n', 'ragged-row', ':3: 2 columns expected, found 1'],
  ['too many cells', 'tsv', 'text\tlabel\na\t0\nb\t1\tc\n', 'ragged-row', ':3: 2 columns expected, found 3'],
  ['a ragged row below a cell of two lines', 'csv', 'text,label\n"a\nb",0\nc,1,2\n', 'ragged-row', ':4: 2 columns expected, found 3'],
  ['an empty line inside', 'tsv', 'text\tlabel\na\t0\n\nb\t1\n', 'ragged-row', ':3: 2 columns expected, found an empty line'],
  ['an empty text', 'tsv', 'text\tlabel\na\t0\n \t1\n', 'empty-text', ':3: the text is empty'],
  ['only a header', 'tsv', 'text\tlabel\n', 'empty-data', ': there is no example in this file'],
  ['an empty file', 'tsv', '', 'empty-data', ': there is no example in this file'],
  ['an empty JSON lines file', 'jsonl', '\n', 'empty-data', ': there is no example in this file'],
  ['one label only', 'tsv', 'text\tlabel\na\t0\nb\t0\n', 'single-label', ': every label is "0": a classifier needs two or more'],
  ['a line that is not JSON', 'jsonl', '{"text":"a","label":0}\n{"text":\n', 'invalid-json-line', ':2: not JSON: '],
  ['a line that is no object', 'jsonl', '{"text":"a","label":0}\n["b", 1]\n', 'invalid-json-line', ':2: not a JSON object'],
  ['a nested value', 'jsonl', '{"text":["a"],"label":0}\n', 'invalid-json-line', ':1: "text" is neither text nor a number'],
  ['a missing key', 'jsonl', '{"text":"a","label":0}\n{"text":"b"}\n', 'missing-column', ':2: no key "label"; keys found: "text"'],
  ['a quote that never closes', 'csv', 'text,label\na,0\n"b,1\n', 'invalid-csv', ':3: Quote Not Closed'],
  ['a bare quote', 'csv', 'text,label\na,0\nb"c,1\n', 'invalid-csv', ':3: Invalid Opening Quote'],
  ['Latin-1', 'tsv', Buffer.from('text\tlabel\na\t0\ncaf\xe9\t1\n', 'latin1'), 'not-utf8', ':3: not UTF-8 text'],
  ['UTF-16', 'tsv', Buffer.from('\ufefftext\tlabel\n', 'utf16le'), 'not-utf8', ':1: not UTF-8 text'],
];

for (const [what, format, content, code, message] of bad) {
  test(`bad input: ${what}`, async () => {
    const dev =
      format === 'jsonl' ? '{"text":"a","label":0}\n' : format === 'csv' ? 'text,label\na,0\n' : 'text\tlabel\na\t0\n';
    // The label set is inferred from the training file, so a wrong label can stand only in the other one.
    const isDev = code === 'unknown-label' && message.includes('Yes');
    const [train, other] = isDev ? ['text\tlabel\na\tyes\nb\tno\n', content] : [content, dev];
    const error = await failure(loadFiles(format, train, { dev: other }));
    assert.equal(error.code, code);
    const start = `${isDev ? 'dev' : 'train'}.${format}${message}`;
    assert.ok(plain(error).startsWith(start), `${plain(error)}\nshould start with\n${start}`);
  });
}

test('bad input: values of regression', async () => {
  const error = await failure(loadFiles('tsv', 'text\tlabel\na\t1\nb\t\nc\tNaN\nd\t1,5\n', { regression: true }));
  assert.equal(error.code, 'unknown-label');
  const lines = plain(error).split('\n');
  assert.equal(lines[0], 'train.tsv:3: label "" is not a number');
  assert.equal(lines.length, 6);
  const [head] = rows['stsb']!.file.split('\n');
  const high = `${head}\n0\tg\tf\ty\to\ts\ts\ta\tb\t5.1\n`;
  assert.match((await failure(loadFolder('stsb', high, high))).message, /label "5.1" is not a number from 0 to 5/);
});

test('bad input: a column of numbers taken for labels', async () => {
  const lines = Array.from({ length: 1001 }, (_, i) => `a\t${i / 10}`);
  const error = await failure(loadFiles('tsv', `text\tlabel\n${lines.join('\n')}\n`));
  assert.deepEqual([error.code, /1001 different labels/.test(error.message)], ['too-many-labels', true]);
});

test('ten problems are shown at once, of both files, and the rest are counted', async () => {
  const file = 'text\tlabel\n' + Array.from({ length: 7 }, (_, i) => `a\t${i}\tb\n`).join('');
  const lines = plain(await failure(loadFiles('tsv', file))).split('\n');
  assert.equal(lines.length, 11);
  assert.match(lines[9]!, /^dev\.tsv:4: /);
  assert.equal(lines[10], '... and 4 more');
});

test('bad input: folders and files that are not there', async () => {
  const dir = await folder({ 'train.tsv': 'x', 'dev.tsv': 'x', 'test.csv': 'x' });
  const absent = await failure(loadTaskData({ task: 'mnli', dir }));
  assert.equal(absent.code, 'missing-task-file');
  assert.match(absent.message, /has no dev_matched\.tsv: a mnli folder holds train\.tsv and dev_matched\.tsv; found /);
  assert.equal((await failure(loadTaskData({ task: 'sst2', dir: join(dir, 'no') }))).code, 'file-not-found');
  assert.equal((await failure(loadTaskData({ task: 'sst2', dir: join(dir, 'train.tsv') }))).code, 'not-a-folder');
  const missing = { train: join(dir, 'no.tsv'), dev: join(dir, 'dev.tsv') };
  assert.equal((await failure(loadTaskData(missing))).code, 'file-not-found');
  const parquet = await failure(loadTaskData({ train: join(dir, 'a.parquet'), dev: join(dir, 'a.parquet') }));
  assert.equal(parquet.code, 'unknown-data-format');
  assert.match(parquet.message, /a\.parquet is not a \.tsv, \.csv, \.jsonl, \.ndjson file/);
});

test('a limited set is a subset in order, the same for the same seed, and grows by inclusion', () => {
  const examples = Array.from({ length: 100 }, (_, id) => ({ id, text: `t${id}`, label: 0 }));
  const small = limitExamples(examples, 10, 1);
  const large = limitExamples(examples, 30, 1);
  assert.deepEqual(small, limitExamples(examples, 10, 1));
  assert.notDeepEqual(small, limitExamples(examples, 10, 2));
  assert.ok(small.every((example) => large.includes(example)));
  assert.deepEqual(
    small,
    [...small].sort((a, b) => a.id - b.id),
  );
  assert.equal(limitExamples(examples, 100, 1), examples);
});

test('the hash of a data set depends on texts, labels and their order only', () => {
  const a = { id: 0, text: 'a', label: 0 };
  const b = { id: 1, text: 'b', pair: 'c', label: 1 };
  const hash = datasetHash([a, b]);
  assert.equal(hash, datasetHash([{ ...a, id: 7 }, b]));
  for (const other of [[b, a], [a], [a, { ...b, label: 0 }], [a, { ...b, pair: 'd' }], [a, { ...b, text: 'c' }]])
    assert.notEqual(datasetHash(other), hash);
  assert.notEqual(datasetHash([{ id: 0, text: 'a\n', label: 0 }]), datasetHash([a]));
});

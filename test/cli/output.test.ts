/** Tables, numbers and progress as text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatBytes,
  formatCount,
  formatMilliseconds,
  formatPercent,
  renderTable,
  significant,
  terminalProgress,
} from '../../src/cli/index.ts';

test('numbers have three significant digits and a unit', () => {
  const cases: readonly [actual: string, expected: string][] = [
    [formatBytes(0), '0 B'],
    [formatBytes(999), '999 B'],
    [formatBytes(57_240_000), '57.2 MB'],
    [formatBytes(999_600), '1.00 MB'],
    [formatCount(14_349_000), '14.3M'],
    [formatCount(1_862_000_000), '1.86G'],
    [formatMilliseconds(0.4181), '0.42 ms'],
    [formatMilliseconds(12.34), '12.3 ms'],
    [formatMilliseconds(1250), '1.25 s'],
    [formatPercent(0.95069), '95.1 %'],
    [significant(9.996), '10.0'],
    [significant(0.00001234), '0.0000123'],
    [significant(Number.NaN), 'n/a'],
  ];
  for (const [actual, expected] of cases) assert.equal(actual, expected);
});

test('numbers are aligned on the right, text on the left', () => {
  const text = renderTable(
    [{ title: 'model' }, { title: 'p50' }, { title: 'accuracy' }],
    [
      ['teacher', '12.3 ms', 0.9],
      ['student', '1.2 ms', '-'],
    ],
  );
  const expected = [
    'model        p50  accuracy',
    '-------  -------  --------',
    'teacher  12.3 ms       0.9',
    'student   1.2 ms         -',
  ];
  assert.equal(text, expected.join('\n'));
});

test('a table fits its width: text is shortened, then columns go below', () => {
  const columns = ['model', 'parameters', 'flops', 'bytes', 'p50', 'p90', 'accuracy'].map((title) => ({ title }));
  const row = [
    'runs/quickstart/a-rather-long-name-of-a-student',
    '14.3M',
    '1.86G',
    '57.2 MB',
    '12 ms',
    '13 ms',
    '90 %',
  ];
  for (const width of [80, 40]) {
    const text = renderTable(columns, [row], { width });
    const lines = text.split('\n');
    assert.ok(Math.max(...lines.map((line) => line.length)) <= width, text);
    for (const cell of row.slice(1)) assert.ok(text.includes(cell), text);
    assert.ok(text.includes('…'));
    assert.equal(lines.filter((line) => line.startsWith('model')).length > 1, width === 40);
  }
});

test('without rows there are titles', () => {
  assert.equal(renderTable([{ title: 'model' }, { title: 'bytes' }], []), 'model  bytes\n-----  -----');
});

function collector(isTTY: boolean) {
  const chunks: string[] = [];
  let time = 0;
  const stream = { isTTY, columns: 100, write: (text: string) => chunks.push(text) };
  return {
    progress: terminalProgress(stream, () => time),
    pass: (milliseconds: number) => (time += milliseconds),
    text: () => chunks.join(''),
  };
}

test('without a terminal: a line every few seconds, with rate and time left', () => {
  const { progress, pass, text } = collector(false);
  progress.start('epoch 1', 100);
  for (let done = 1; done <= 80; done++) {
    pass(200);
    progress.update(done, { loss: 0.5, 'examples/s': 160 });
  }
  progress.message('accuracy 0.9');
  progress.end();
  progress.end();
  const expected = [
    'epoch 1  25%  25/100  loss 0.50  160 examples/s  15s left',
    'epoch 1  50%  50/100  loss 0.50  160 examples/s  10s left',
    'epoch 1  75%  75/100  loss 0.50  160 examples/s  5s left',
    'accuracy 0.9',
    'epoch 1: stopped at 80/100 in 16s',
    '',
  ];
  assert.equal(text(), expected.join('\n'));
});

test('on a terminal: a bar that is redrawn and leaves one line', () => {
  const { progress, pass, text } = collector(true);
  progress.start('teacher', 10);
  pass(1000);
  progress.update(5);
  progress.message('note');
  pass(10);
  progress.update(6);
  pass(1990);
  progress.update(10);
  progress.end();
  const clear = '\r\u001b[2K';
  const bar = (filled: number) => `[${'#'.repeat(filled)}${'.'.repeat(20 - filled)}]`;
  const expected = [
    `teacher  ${bar(0)}  0%  0/10`,
    `teacher  ${bar(10)}  50%  5/10  1s left`,
    'note\n',
    `teacher  ${bar(10)}  50%  5/10  1s left`,
    `teacher  ${bar(20)}  100%  10/10  0s left`,
    'teacher: done, 10/10 in 3s\n',
  ];
  assert.deepEqual(text().split(clear), ['', ...expected]);
});

test('a resumed stage counts only what is done now; an unknown total has no time left', () => {
  const resumed = collector(false);
  resumed.progress.start('train', 100, 50);
  resumed.pass(10_000);
  resumed.progress.update(60);
  assert.equal(resumed.text(), 'train  60%  60/100  40s left\n');

  const open = collector(false);
  open.progress.start('reading');
  open.pass(6000);
  open.progress.update(1234);
  open.progress.end();
  assert.equal(open.text(), 'reading  1234\nreading: done, 1234 in 6s\n');
});

test('a stage inside another: mentioned only when it was long, the outer one goes on', () => {
  const { progress, pass, text } = collector(false);
  progress.start('training', 10);
  progress.start('evaluating', 5);
  pass(100);
  progress.end();
  progress.start('evaluating', 5);
  pass(6000);
  progress.update(5);
  progress.end();
  progress.update(10);
  progress.end();
  const expected = [
    'evaluating  100%  5/5  0s left',
    'evaluating: done, 5/5 in 6s',
    'training  100%  10/10  0s left',
    'training: done, 10/10 in 6s',
    '',
  ];
  assert.equal(text(), expected.join('\n'));
});

/** The report as text and as Markdown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderMarkdown, renderText, summarize } from '../../plugins/distill/src/compare/index.ts';
import { sampleComparison } from './sample.ts';

const names = ['finetune', 'kd', 'pkd', 'distilbert', 'tinybert', 'mixkd', 'a-recipe-of-ones-own-with-a-long-name'];
const methods = names.map((method, i) => ({ method, skill: 0.9 + 0.1 * i }));

test('the text fits 80 columns and has the numbers of the report', () => {
  const big = summarize(sampleComparison({ methods, fractions: [1, 0.1] }));
  for (const report of [big, summarize(sampleComparison()), summarize(sampleComparison({ task: 'stsb' }))]) {
    const text = renderText(report);
    assert.deepEqual(
      text.split('\n').filter((line) => line.length > 80),
      [],
    );
    for (const { rows } of report.fractions)
      for (const { method, result } of rows) {
        assert.ok(text.includes(method.slice(0, 9)));
        assert.ok(text.includes(`${(100 * result!.primary.mean).toFixed(2)} ± `), method);
      }
    for (const note of report.notes) assert.ok(text.replace(/\s+/g, ' ').includes(note), note);
  }
  assert.match(renderText(big), /10 % of the training data, 6735 examples/);
});

test('verdicts in words', () => {
  const text = renderText(summarize(sampleComparison()));
  assert.match(text, /^kd: better than finetune by \d+\.\d\d points$/m);
  assert.match(text, /^mixkd: better than finetune by .* points; no difference to kd seen at 95 %$/m);
});

test('an unfinished row shows how many seeds are there', () => {
  const comparison = sampleComparison();
  const cells = comparison.cells.filter(({ method, seed }) => method !== 'mixkd' && !(method === 'kd' && seed === 1));
  const plan = { methods: ['finetune', 'kd', 'mixkd'], seeds: [1, 2, 3], fractions: [1] };
  const text = renderText(summarize({ ...comparison, cells, plan }));
  assert.match(text, /^kd +2\/3 /m);
  assert.match(text, /^mixkd +0\/3 +- +- +-$/m);
});

test('the work of processors counts where every cell knows it, else the time', () => {
  const comparison = sampleComparison();
  const rowOf = (text: string, method: string) => text.match(new RegExp(`^\\| ${method} .*$`, 'gm'))!.at(-1)!;
  const known = renderMarkdown(summarize(comparison));
  assert.match(rowOf(known, 'method'), /time \| CPU time \| relative \|$/);
  assert.match(rowOf(known, 'mixkd'), /\| +2\.00 min \| +3\.93 min \| +x2\.88 \|$/);
  assert.match(known, /CPU time: work of the processors/);

  const [first, ...rest] = comparison.cells;
  const { cpuSeconds: _, ...training } = first!.training;
  const older = renderMarkdown(summarize({ ...comparison, cells: [{ ...first!, training }, ...rest] }));
  assert.match(rowOf(older, 'method'), /examples \| +time \| relative \|$/);
  assert.match(rowOf(older, 'mixkd'), /\| 2\.00 min \| +x2\.79 \|$/);
  assert.doesNotMatch(older, /CPU time/);
});

test('Markdown tables have as many cells in each row, and no text becomes markup', () => {
  const comparison = sampleComparison({ methods: [{ method: 'a|b<i>*', skill: 1 }] });
  const markdown = renderMarkdown(summarize({ ...comparison, commands: ['kdx compare \\\n  --teacher ```x```'] }));
  assert.ok(markdown.includes('a\\|b\\<i\\>\\*'));
  assert.ok(markdown.includes('\n\n    kdx compare \\\n      --teacher ```x```\n'));
  const tables = markdown.split('\n\n').filter((block) => block.startsWith('|'));
  assert.equal(tables.length, 3);
  for (const table of tables) {
    const widths = table.split('\n').map((line) => line.replace(/\\\|/g, '').split('|').length);
    assert.equal(new Set(widths).size, 1);
    assert.equal(table.split('\n').length, 4);
  }
});

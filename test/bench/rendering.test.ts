/** The report as Markdown and in a terminal, and reports that are read again. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { barStyleOf, readReport, renderMarkdown, repeatable, reportAgain } from '../../plugins/bench/src/page/index.ts';
import { paretoFront } from '../../plugins/bench/src/page/pareto.ts';
import { reportTable } from '../../plugins/bench/src/report-table.ts';
import { olderReport, sampleModels, sampleReport, samples } from './sample.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-bench-report-'));
});
after(() => rm(folder, { recursive: true }));

function tablesOf(markdown: string): string[][] {
  return markdown
    .split('\n\n')
    .filter((block) => block.startsWith('|'))
    .map((block) => block.split('\n'));
}

for (const [name, report] of Object.entries(samples)) {
  test(`Markdown: ${name}`, () => {
    const markdown = renderMarkdown(report);
    const tables = tablesOf(markdown);
    assert.ok(tables.length >= 2);
    for (const table of tables)
      assert.equal(new Set(table.map((line) => line.replaceAll('\\|', '').split('|').length)).size, 1, table[0]);
    const [, speed] = tables;
    assert.equal(speed!.length, 2 + 1 + report.students.length);
    [report.teacher, ...report.students].forEach((model, i) => {
      const cells = speed![2 + i]!.split('|').map((cell) => cell.trim());
      assert.equal(cells[1], model.name);
      const shown = Number(cells[2]!.split(' ')[0]);
      assert.ok(Math.abs(shown / model.latencyMs.p50 - 1) < 0.005, `${model.name}: ${cells[2]}`);
    });
    assert.equal(markdown.match(/<details>/g)?.length, markdown.match(/<\/details>/g)?.length);
    assert.equal(/^## THE RUN IS INVALID/m.test(markdown), !report.control.valid);
    assert.equal(markdown.includes('**interrupted'), report.partial);
    assert.doesNotMatch(markdown, /NaN|undefined|Infinity/);
  });

  test(`a terminal of 80 columns: ${name}`, () => {
    for (const bars of ['none', 'ascii', 'blocks'] as const) {
      const lines = reportTable(report, { bars }).split('\n');
      assert.deepEqual(
        lines.filter((line) => line.length > 80),
        [],
      );
    }
  });
}

test('Markdown: text of users is neither markup nor a link', () => {
  const name = '<script>|[x](http://example.com)`*_\n# heading';
  const models = sampleModels.slice(0, 2).map((model, i) => ({ ...model, name: `${name}${i}` }));
  const markdown = renderMarkdown(sampleReport({ models, command: ['kdx', 'bench', '--teacher', '<b>`'] }));
  assert.doesNotMatch(markdown, /(?<!\\)<(?!\/?(details|summary)>)(?!b>)/);
  assert.doesNotMatch(markdown, /(?<!\\)\]\(|^# heading/m);
  assert.ok(markdown.includes("\n\n    kdx bench --teacher '<b>`'\n"), 'code that no fence can be closed in');
});

test('the invalid run makes no claim anywhere', () => {
  for (const text of [renderMarkdown(samples.invalid!), reportTable(samples.invalid!, { bars: 'ascii' })]) {
    assert.match(text, /INVALID/);
    assert.doesNotMatch(text, /faster|slower/);
  }
  assert.doesNotMatch(reportTable(samples.invalid!, { bars: 'ascii' }), /ms #/, 'bars of latency compare, too');
});

test('bars are in proportion to the largest value', () => {
  const models = [
    { name: 'teacher', ms: 100, megabytes: 400 },
    { name: 'half', ms: 50, megabytes: 100 },
    { name: 'tiny', ms: 0.1, megabytes: 0.1 },
  ];
  const report = sampleReport({ models });
  const bars = (style: 'ascii' | 'blocks') =>
    reportTable(report, { bars: style })
      .split('\n\n')[1]!
      .split('\n')
      .slice(1)
      .map((line) => line.match(/[#█▏▎▍▌▋▊▉]+/g)!);
  const lengths = bars('ascii').map((found) => found.map((text) => text.length));
  assert.deepEqual(lengths, [
    [18, 18],
    [9, 5],
    [1, 1],
  ]);
  assert.deepEqual(bars('blocks')[1]![1], '████▌');
  assert.doesNotMatch(reportTable(report), /[#█]/);
  assert.match(reportTable(report, { bars: 'ascii' }), /^[\x20-\x7e\n]*$/);
});

test('bars only on a terminal, blocks only where it takes UTF-8', () => {
  const terminal = { isTTY: true };
  assert.equal(barStyleOf({}, { LANG: 'en_US.UTF-8' }), 'none');
  assert.equal(barStyleOf(terminal, { LANG: 'en_US.UTF-8', TERM: 'dumb' }), 'none');
  assert.equal(barStyleOf(terminal, { LANG: 'en_US.UTF-8' }), 'blocks');
  assert.equal(barStyleOf(terminal, { LANG: 'C.utf8' }), 'blocks');
  assert.equal(barStyleOf(terminal, { LANG: 'en_US.UTF-8', LC_ALL: 'C' }), 'ascii');
  assert.equal(barStyleOf(terminal, {}), 'ascii');
});

test('a comparison with a baseline: regressions in words and in the table', () => {
  const report = {
    ...samples.grid!,
    baseline: {
      file: 'earlier/bench.json',
      failOn: 0.05,
      comparisons: [
        {
          name: 'tinybert-4x312',
          measure: 'latency' as const,
          cell: 1,
          method: 'time relative to the teacher' as const,
          before: 0.0602,
          after: 0.0722,
          change: 1.2,
          ci95: [1.15, 1.25] as const,
          p: 1e-4,
          verdict: 'regression' as const,
          reason: null,
        },
      ],
      warnings: ['another processor'],
      verdict: 'regression' as const,
    },
  };
  const expected = 'tinybert-4x312, latency, 1 x 32, 1 thread';
  const table = reportTable(report);
  assert.match(table, /^against earlier\/bench\.json, at most 5\.00 % worse: regression$/m);
  assert.ok(table.includes(`${expected}: regression x1.20 [1.15, 1.25]`));
  assert.match(table, /^baseline: another processor$/m);
  const row = tablesOf(renderMarkdown(report))
    .flat()
    .find((line) => line.startsWith(`| ${expected}`));
  assert.match(row!, /0\.0602 of the teacher \| +0\.0722 of the teacher \| x1\.20 \[1\.15, 1\.25\] \| regression /);
});

test('the command that repeats a run', () => {
  assert.deepEqual(repeatable(['--teacher', 't', '--json', '-q', '--quiet', '--out', 'o']), [
    ...['kdx', 'bench', '--teacher', 't', '--out', 'o'],
  ]);
});

test('the Pareto front: nobody is as good for less', () => {
  const names = (points: readonly (readonly [string, number, number])[]) =>
    paretoFront(points.map(([name, quality, cost]) => ({ name, quality, cost }))).map(({ name }) => name);
  assert.deepEqual(
    names([
      ['big', 0.9, 10],
      ['good', 0.9, 5],
      ['bad', 0.8, 6],
      ['small', 0.7, 1],
    ]),
    ['small', 'good'],
  );
  assert.deepEqual(
    names([
      ['a', 0.9, 5],
      ['same', 0.9, 5],
    ]),
    ['a', 'same'],
  );
});

test('a report is rendered again, also one of an older version', async () => {
  const file = join(folder, 'bench.json');
  await writeFile(file, JSON.stringify(samples.grid));
  assert.deepEqual(await readReport(file), JSON.parse(JSON.stringify(samples.grid)));
  const out = join(folder, 'new', 'again');
  await reportAgain(file, out);
  assert.equal(await readFile(join(out, 'report.md'), 'utf8'), renderMarkdown(samples.grid!));
  assert.match(await readFile(join(out, 'report.html'), 'utf8'), /^<!doctype html>/);

  await writeFile(file, JSON.stringify(olderReport()));
  const older = await reportAgain(file, folder);
  assert.deepEqual([older.grid, older.baseline, older.teacher.compressedBytes], [[], null, null]);
  const page = await readFile(join(folder, 'report.html'), 'utf8');
  assert.doesNotMatch(page, /undefined|NaN|<h2>Grid|<h2>Repeat it/);
  assert.match(page, /data-path="students\.3\.latencyMs\.p90"/);
  assert.match(reportTable(older), /^tinybert-4x312: x\d+\.\d faster/m);
});

test('what is no report is refused with its place', async () => {
  const file = join(folder, 'other.json');
  const report = samples['one student']!;
  const cases: readonly (readonly [content: string, expected: RegExp])[] = [
    ['{', /scenario\.device is missing, expected string/],
    ['null', /scenario\.device is missing/],
    [JSON.stringify({ ...report, students: {} }), /students is object, expected list/],
    [JSON.stringify({ ...report, teacher: { ...report.teacher, bytes: '1' } }), /teacher\.bytes is string/],
    [JSON.stringify({ ...report, students: [null] }), /students\.0\.name is missing/],
  ];
  for (const [content, message] of cases) {
    await writeFile(file, content);
    await assert.rejects(readReport(file), { code: 'invalid-report', message });
  }
  await assert.rejects(readReport(join(folder, 'absent.json')), { code: 'file-not-found' });
});

/** Parts of pages and documents: whatever the text, it stays text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  drawSvg,
  escapeHtml,
  escapeMarkdown,
  htmlPage,
  htmlTable,
  markdownCode,
  markdownTable,
  plotBase,
  seriesColors,
  seriesShapes,
} from '../../src/page/index.ts';

test('text of HTML', () => {
  assert.equal(escapeHtml(`<a href="x">'&'</a>`), '&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;');
});

test('text of Markdown', () => {
  const cases: readonly (readonly [text: string, expected: string])[] = [
    ['a|b <i>*_`\\', 'a\\|b \\<i\\>\\*\\_\\`\\\\'],
    ['x2.01 [1.95, 2.06]', 'x2.01 [1.95, 2.06]'],
    ['[a](b) ![a][b] [a]: b', '[a\\](b) ![a\\][b] [a\\]: b'],
    ['one\r\n# two', 'one # two'],
  ];
  for (const [text, expected] of cases) assert.equal(escapeMarkdown(text), expected);
});

test('a table as HTML and as Markdown', () => {
  const table = {
    title: 'T&T',
    columns: ['model', 'ms'],
    rows: [
      [{ text: 'a|b' }, { text: '1.5', path: 'teacher.p50', note: '[1, 2]', mark: 'better' as const }],
      [{ text: 'c' }, { text: '-' }],
    ],
  };
  const html = htmlTable(table);
  assert.match(html, /^<h3>T&amp;T<\/h3>/);
  assert.ok(html.includes('<td data-path="teacher.p50" class="better">1.5<small>[1, 2]</small></td>'));
  assert.ok(html.includes('<tr><th scope="row">c</th><td>-</td></tr>'));
  assert.equal(
    markdownTable(table),
    ['| model |   ms |', '| ----- | ---: |', '| a\\|b  |  1.5 |', '| c     |    - |'].join('\n'),
  );
  assert.equal(markdownCode(['```', 'x']), '    ```\n    x');
});

test('a page forbids everything but its own style', () => {
  const page = htmlPage({ title: '</title>', body: '<p>x</p>', style: '.x { color: red; }' });
  assert.match(page, /Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/);
  assert.match(page, /<title>&lt;\/title&gt;<\/title>/);
  assert.match(page, /\.x \{ color: red; \}<\/style>/);
});

test('a plot is drawn without a browser, its text escaped', async () => {
  const svg = await drawSvg({
    ...plotBase,
    width: 100,
    height: 50,
    data: { values: [{ name: '<script>' }] },
    mark: { type: 'text', color: 'var(--s1)' },
    encoding: { text: { field: 'name' } },
  });
  assert.match(svg, /^<svg [^]*fill="var\(--s1\)"[^]*&lt;script&gt;/);
});

test('series repeat colours after eight', () => {
  assert.deepEqual(seriesColors(9).slice(7), ['var(--s8)', 'var(--s1)']);
  assert.equal(new Set(seriesShapes(8)).size, 8);
});

/** The page in a browser: what it shows is the report, and it asks for nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHtml, summarize, type Comparison } from '../../plugins/distill/src/compare/index.ts';
import { desktop, pageFaults, phone, useBrowser, valueAt, withoutBrowser } from '../support/browser.ts';
import { sampleComparison } from './sample.ts';

const { show } = useBrowser();

/** The numbers that a cell should show, from the report: a path ends at a number, a spread or a difference. */
function expectedNumbers(path: string, value: unknown): number[] {
  if (typeof value !== 'number') {
    const { mean, sd, estimate, ci95 } = value as {
      mean: number;
      sd: number;
      estimate?: number;
      ci95: [number, number];
    };
    return (estimate === undefined ? [mean, sd] : [estimate, ...ci95]).map((number) => 100 * number);
  }
  if (/(retention|agreement\.mean|metrics\.\w+(\.mean)?)$/.test(path)) return [100 * value];
  return [value];
}

const units: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9, min: 60 };

/** Every number of a cell with half a unit of its last digit. */
function shownNumbers(text: string): { value: number; tolerance: number }[] {
  return [...text.matchAll(/([-+]?\d+(?:\.(\d+))?) ?(k|M|G|min)?/g)].map(([, digits, decimals = '', unit]) => {
    const scale = unit === undefined ? 1 : units[unit]!;
    return { value: Number(digits) * scale, tolerance: (0.5001 * scale) / 10 ** decimals.length };
  });
}

const comparisons: Readonly<Record<string, Comparison>> = {
  classification: sampleComparison({ fractions: [1, 0.1] }),
  regression: sampleComparison({ task: 'stsb' }),
  unfinished: {
    ...sampleComparison({ task: 'mrpc' }),
    cells: sampleComparison({ task: 'mrpc' }).cells.slice(3, 8),
    plan: { methods: ['finetune', 'kd', 'mixkd'], seeds: [1, 2, 3], fractions: [1, 0.5] },
  },
};

for (const [name, comparison] of Object.entries(comparisons)) {
  test(`every number of the page is that of the report: ${name}`, { skip: withoutBrowser }, async () => {
    const report = summarize(comparison);
    const { page, events } = await show(await renderHtml(report));
    const cells = await page.$$eval('td[data-path]', (found) =>
      found.map((cell) => ({ path: cell.getAttribute('data-path')!, text: cell.firstChild!.textContent! })),
    );
    const results = report.fractions.flatMap(({ rows }) => rows.flatMap(({ result }) => result ?? []));
    assert.ok(cells.length >= 10 * results.length, `${cells.length} cells`);
    for (const { path, text } of cells) {
      const expected = expectedNumbers(path, valueAt(report, path));
      const shown = shownNumbers(text);
      assert.ok(shown.length >= expected.length, `${path}: ${text}`);
      expected.forEach((number, i) => {
        const { value, tolerance } = shown[i]!;
        assert.ok(Math.abs(value - number) <= tolerance, `${path}: ${text} is not ${number}`);
      });
    }
    assert.deepEqual(events, []);
    await page.close();
  });
}

test('plots: seeds, means, verdict colours, and a picture for each model', { skip: withoutBrowser }, async () => {
  const report = summarize(comparisons.classification!);
  const { page } = await show(await renderHtml(report));
  const titles = await page.$$eval('section figure h3', (found) => found.map((title) => title.textContent));
  assert.deepEqual(titles, [
    'accuracy by method',
    'Difference to finetune',
    'Difference to kd',
    'accuracy by cost of training',
    ...['teacher', 'finetune', 'kd', 'mixkd'],
  ]);
  const first = page.locator('section figure').first();
  // Nine seeds and three means.
  assert.equal(await first.locator('.mark-symbol path').count(), 12);
  assert.equal(await page.locator('figure svg').count(), 17);
  const strokes = await page.$$eval(
    'section > .plots:not(.small) figure:nth-child(3) .mark-rule.role-mark line',
    (lines) => lines.map((line) => line.getAttribute('stroke')),
  );
  assert.deepEqual(strokes, ['var(--ink)', 'var(--muted)']);
  assert.equal(await page.locator('[id]').count(), 0, 'ids of several pictures could be the same');
  assert.match(await page.locator('body').innerText(), /kdx compare --teacher runs\/teacher[^]*node\s+20\.20\.2/);
  await page.close();
});

test(
  'nothing overflows a phone or a desktop, and text is readable in light and dark',
  { skip: withoutBrowser },
  async () => {
    const html = await renderHtml(summarize(comparisons.classification!));
    for (const viewport of [phone, desktop])
      for (const scheme of ['light', 'dark'] as const) {
        const { page } = await show(html, viewport, scheme);
        await page.$$eval('details', (found) => found.forEach((details) => (details.open = true)));
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), viewport.width);
        const faults = await page.evaluate(pageFaults);
        assert.deepEqual(faults, [], `${viewport.width} ${scheme}`);
        await page.close();
      }
  },
);

test('text of users is never markup', { skip: withoutBrowser }, async () => {
  const evil = `<img src=https://example.com/x onerror="document.title='bad'">'&"`;
  const comparison = sampleComparison({
    methods: [
      { method: evil, skill: 1 },
      { method: 'finetune', skill: 1 },
    ],
  });
  const report = summarize({
    ...comparison,
    commands: [evil],
    teacher: { ...comparison.teacher, ref: evil },
    cells: comparison.cells.map((cell) => ({
      ...cell,
      device: evil,
      recipe: { [evil]: cell.method },
      versions: { [evil]: evil },
    })),
  });
  const { page, events } = await show(await renderHtml(report));
  assert.equal(await page.locator('img').count(), 0);
  assert.equal(await page.title(), 'kdx compare: sst2');
  assert.equal(await page.locator('tbody th').nth(1).innerText(), evil);
  assert.deepEqual(events, []);
  await page.close();
});

test('the page is the same every time', async () => {
  const comparison = sampleComparison({ seeds: [1, 2] });
  const pages = [await renderHtml(summarize(comparison)), await renderHtml(summarize(comparison))];
  assert.equal(pages[0], pages[1]);
  assert.doesNotMatch(pages[0]!, /<script|NaN|undefined|Infinity/);
});

/** The page in a browser: what it shows is the report, and it asks for nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { renderHtml } from '../../plugins/bench/src/page/index.ts';
import type { BenchReport } from '../../plugins/bench/src/report.ts';
import { desktop, pageFaults, phone, useBrowser, valueAt, withoutBrowser } from '../support/browser.ts';
import { sampleModels, sampleReport, samples } from './sample.ts';

const { show } = useBrowser();

/** Drawn once for all tests. */
const pages = new Map<BenchReport, Promise<string>>();
function pageOf(report: BenchReport): Promise<string> {
  const page = pages.get(report) ?? renderHtml(report);
  pages.set(report, page);
  return page;
}

/** Ends of the paths of values, and those of their intervals. */
const intervals: readonly (readonly [of: RegExp, place: string])[] = [
  [/p50$/, 'ci95'],
  [/p90$/, 'p90Ci95'],
  [/ratio$/, 'ci95'],
  [/coldStartMs$/, 'coldStartCi95'],
  [/peakRssBytes$/, 'peakRssCi95'],
  [/value$/, 'ci95'],
  [/retention$/, 'retentionCi95'],
  [/agreement$/, 'agreementCi95'],
  [/klDivergence$/, 'klCi95'],
];

function intervalOf(report: BenchReport, path: string): readonly number[] {
  // A cell of the grid shows the speed-up with its interval below the time.
  if (/^grid\.\d+\.models\.\d+\.latencyMs\.p50$/.test(path)) {
    const speedup = valueAt(report, path.replace('latencyMs.p50', 'speedup')) as
      { ratio: number; ci95: number[] } | undefined;
    return speedup ? [speedup.ratio, ...speedup.ci95] : [];
  }
  const found = intervals.find(([of]) => of.test(path));
  if (!found) return [];
  return valueAt(report, path.replace(...found)) as readonly number[];
}

const units: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9, kB: 1e3, MB: 1e6, GB: 1e9, s: 1e3 };

/** Every number of a text with half a unit of its last digit. */
function shownNumbers(text: string): { value: number; tolerance: number }[] {
  return [...text.matchAll(/(-?\d+(?:\.(\d+))?) ?(kB|MB|GB|k|M|G|s\b)?/g)].map(([, digits, decimals = '', unit]) => {
    const scale = unit === undefined ? 1 : units[unit]!;
    return { value: Number(digits) * scale, tolerance: (0.5001 * scale) / 10 ** decimals.length };
  });
}

function assertShows(text: string, expected: readonly number[], path: string): void {
  const shown = shownNumbers(text);
  assert.equal(shown.length, expected.length, `${path}: ${text}`);
  expected.forEach((number, i) => {
    const { value, tolerance } = shown[i]!;
    assert.ok(Math.abs(value - number) <= tolerance, `${path}: ${text} is not ${number}`);
  });
}

for (const [name, report] of Object.entries(samples)) {
  test(`every number of the tables is that of the report: ${name}`, { skip: withoutBrowser }, async () => {
    const { page, events } = await show(await pageOf(report));
    const cells = await page.$$eval('td[data-path]', (found) =>
      found.map((cell) => ({
        path: cell.getAttribute('data-path')!,
        text: cell.firstChild!.textContent!,
        note: cell.querySelector('small')?.textContent ?? '',
      })),
    );
    const models = 1 + report.students.length;
    assert.ok(cells.length >= 6 * models, `${cells.length} cells`);
    for (const { path, text, note } of cells) {
      const percent = /(retention|agreement)$/.test(path) ? 100 : 1;
      assertShows(text, [percent * (valueAt(report, path) as number)], path);
      if (note !== '')
        assertShows(
          note,
          intervalOf(report, path).map((end) => percent * end),
          path,
        );
    }
    const paths = new Set(cells.map(({ path }) => path));
    for (const field of ['bytes', 'parameters', 'latencyMs.p50', 'latencyMs.p90', 'throughput', 'compressedBytes'])
      for (const model of ['teacher', ...report.students.map((_, i) => `students.${i}`)])
        assert.ok(paths.has(`${model}.${field}`), `${model}.${field} is not shown`);
    assert.equal(paths.has('teacher.metric.value'), report.teacher.metric !== null);
    assert.equal(paths.has('teacher.coldStartMs'), report.teacher.coldStartMs !== null);
    assert.equal(paths.has('grid.0.models.0.throughput'), report.grid.length > 1);
    assert.deepEqual(events, []);
    await page.close();
  });
}

test(
  'nothing overflows a phone or a desktop, and text is readable in light and dark',
  { skip: withoutBrowser },
  async () => {
    for (const name of ['grid', 'invalid', 'eight students with long names'])
      for (const [viewport, scheme] of [
        [phone, 'dark'],
        [desktop, 'light'],
      ] as const) {
        const { page } = await show(await pageOf(samples[name]!), viewport, scheme);
        await page.$$eval('details', (found) => found.forEach((details) => (details.open = true)));
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), viewport.width);
        assert.deepEqual(await page.evaluate(pageFaults), [], `${name} ${viewport.width} ${scheme}`);
        await page.close();
      }
  },
);

async function figureTitles(page: Page): Promise<(string | null)[]> {
  return page.$$eval('figure h3', (found) => found.map((title) => title.textContent));
}

test('plots: one of each kind, with every model in it', { skip: withoutBrowser }, async () => {
  const report = samples.grid!;
  const { page } = await show(await pageOf(report));
  assert.deepEqual(await figureTitles(page), [
    'Latency of every sample',
    'Share of the samples within a time',
    'Speed-up over the teacher',
    'Size by part of the model',
    'accuracy against file size',
    'accuracy against latency',
    'Median latency by combination',
  ]);
  const marks = (figure: number, kind: string) => page.locator('figure').nth(figure).locator(`.${kind}.role-mark path`);
  assert.equal(await marks(1, 'mark-line').count(), 5, 'a curve for each model');
  assert.equal(
    await marks(3, 'mark-rect').count(),
    5 * (4 + 1),
    'embeddings, encoder, head, the rest and the compressed size',
  );
  // Four of five models are on the front, which is a ring around each, beside the models themselves.
  assert.equal(await marks(4, 'mark-symbol').count(), 4 + 5);
  assert.match(await page.locator('figcaption').nth(4).innerText(), /front, tinybert-4x312-int8, student-6x768-int8, /);
  assert.equal(await marks(6, 'mark-symbol').count(), 4 * 5, 'every model in every combination');
  assert.equal(await page.locator('.series').first().locator('li').count(), 5);
  assert.equal(await page.locator('[id]').count(), 0, 'ids of several pictures could be the same');
  await page.close();
});

test('what was not measured has no plot', { skip: withoutBrowser }, async () => {
  const { page } = await show(await pageOf(samples['without quality and cold start']!));
  assert.deepEqual(
    (await figureTitles(page)).filter((title) => /against|combination/.test(title!)),
    [],
  );
  assert.equal(await page.getByText('Start-up and memory', { exact: true }).count(), 0);
  await page.close();
});

test('an invalid run says so in the largest type, and claims no speed', { skip: withoutBrowser }, async () => {
  const { page } = await show(await pageOf(samples.invalid!), phone);
  const sizes = await page.evaluate<{ invalid: boolean; size: number }[]>(`[...document.querySelectorAll('body *')]
    .filter((element) => element.children.length === 0 && element.textContent.trim() !== '')
    .map((element) => ({
      invalid: element.className === 'invalid',
      size: parseFloat(getComputedStyle(element).fontSize),
    }))`);
  const largest = Math.max(...sizes.filter(({ invalid }) => !invalid).map(({ size }) => size));
  const banner = sizes.find(({ invalid }) => invalid);
  assert.ok(banner && banner.size > largest, `${banner?.size} and ${largest}`);
  const text = await page.locator('body').innerText();
  assert.match(text, /THE RUN IS INVALID[^]*interrupted: this is a partial result/);
  assert.doesNotMatch(text, /faster|slower/);
  assert.doesNotMatch((await figureTitles(page)).join(), /Speed-up/);
  await page.close();
});

test('text of users is never markup', { skip: withoutBrowser }, async () => {
  const evil = `</style><script>document.title='bad'</script><img src=https://example.com/x onerror="document.title='bad'">'&"`;
  const models = sampleModels.slice(0, 2).map((model, i) => ({ ...model, name: `${evil}${i}` }));
  const report = sampleReport({
    models,
    warnings: [evil],
    command: ['kdx', 'bench', '--teacher', evil],
    grid: [
      { batch: 1, length: 128, threads: 1 },
      { batch: 2, length: 128, threads: 1 },
    ],
  });
  const { page, events } = await show(await pageOf(report));
  assert.equal(await page.locator('img, script').count(), 0);
  assert.ok((await page.title()).startsWith('kdx bench: </style><script>'));
  assert.equal(await page.locator('tbody th').nth(1).innerText(), `${evil}1`);
  assert.ok((await page.locator('pre').innerText()).includes(evil.replaceAll("'", `'\\''`)));
  assert.deepEqual(events, []);
  await page.close();
});

test('no page has a number that is none, and a page is the same every time', async () => {
  for (const report of Object.values(samples))
    assert.doesNotMatch(await pageOf(report), /<script|NaN|undefined|Infinity|n\/a/);
  const report = samples['one student']!;
  assert.equal(await pageOf(report), await renderHtml(structuredClone(report)));
});

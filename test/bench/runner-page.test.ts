/** The page of a runner's folder in a browser: it measures, its file can be imported, and it asks nobody else. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import { readResult, renderHtml, reportOfImports, type BenchReport } from '../../plugins/bench/src/index.ts';
import type { RunnerResult } from '../../plugins/bench/src/runner/plan.ts';
import { median } from '../../src/timing/index.ts';
import { serveFolder } from '../export/static-server.ts';
import { pageFaults, useBrowser, withoutBrowser, type Opened } from '../support/browser.ts';
import { exportTo, spoilCell, tinyModels, withoutWeb, type Models } from './runner-folder.ts';

const skip = withoutWeb || withoutBrowser;

const browser = useBrowser('--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader');
let models: Models;
let folder: string;
before(async () => {
  models = await tinyModels();
  folder = join(models.dir, 'runner');
  if (skip) return;
  await exportTo(folder, models, { grid: { batch: [1], length: [16], threads: [1, 2] } });
});
after(() => models.remove());

/** The server of the folder itself. @returns its address */
async function serve(t: TestContext): Promise<string> {
  const child = spawn(process.execPath, [join(folder, 'serve.mjs'), '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill());
  for await (const data of child.stdout) {
    const address = /http:\/\/localhost:\d+\//.exec(String(data))?.[0];
    if (address !== undefined) return address;
  }
  throw new Error('serve.mjs ended');
}

/** The page of the folder, ready to measure. */
async function openPage(t: TestContext, address: string): Promise<Opened> {
  // Of Chromium, to a page that asks for a graphics adapter where there is none.
  const opened = await browser.open(t, address, ['No available adapters.']);
  await opened.page.locator('#start:enabled').waitFor();
  return opened;
}

/** A machine that becomes faster after the warm-up makes samples short: then, and only then, there is a warning. */
function assertClockIsTold({ plan, cells, environment }: RunnerResult, { imported }: BenchReport): void {
  for (const [i, { name }] of plan.models.entries()) {
    const isShort = cells.some(({ models: series }) => {
      const { samplesMs, runsPerSample } = series[i]!;
      return median(samplesMs) * runsPerSample < 50 * environment.timerResolutionMs;
    });
    const isTold = imported![0]!.warnings.some((warning) => warning.startsWith(`${name}: its samples are too short`));
    assert.equal(isTold, isShort, name);
  }
}

/** The page takes them from the plan. */
async function withSettings(page: Page, settings: object): Promise<void> {
  await page.route('**/plan.json', async (route) => {
    const plan = (await (await route.fetch()).json()) as { settings: object };
    await route.fulfill({ json: { ...plan, settings: { ...plan.settings, ...settings } } });
  });
  await page.reload();
  await page.locator('#start:enabled').waitFor();
}

/** Measures and saves the file. */
async function measured(page: Page, file: string): Promise<void> {
  await page.click('#start');
  await page.locator('#download[href], #problem').filter({ visible: true }).first().waitFor({ timeout: 60_000 });
  assert.equal(await page.isVisible('#problem'), false, await page.innerText('#problem'));
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
  assert.equal(download.suggestedFilename(), 'result.json');
  await download.saveAs(file);
}

test('served by serve.mjs it measures with one and two threads, and its file becomes a report', { skip }, async (t) => {
  const address = await serve(t);
  const { page, events, requests } = await openPage(t, address);
  assert.deepEqual(await page.locator('#models li').allInnerTexts(), ['teacher 0.4 MB, the teacher', 'student 0.2 MB']);
  await page.fill('#label', 'a browser');
  const file = join(models.dir, 'browser.json');
  await measured(page, file);

  const result = await readResult(file);
  const { environment, runtime, cells, skipped } = result;
  assert.deepEqual([runtime.name, runtime.backend, environment.node], ['onnxruntime-web', 'wasm', null]);
  assert.match(environment.userAgent!, /Chrome\/\d+/);
  assert.equal(environment.crossOriginIsolated, true);
  assert.deepEqual([cells.map(({ cell }) => cell), skipped], [[0, 1], []]);
  for (const { models: series, controlMs, openings } of cells) {
    assert.ok(openings.length >= 3);
    assert.ok(series.every(({ samplesMs }) => samplesMs.length === controlMs.length));
  }
  const report = await reportOfImports([file]);
  assertClockIsTold(result, report);
  const [run] = report.imported!;
  assert.deepEqual([run!.label, run!.backend, report.scenario.device], ['a browser', 'wasm', 'wasm']);
  assert.equal(run!.cells[0]!.models[0]!.latencyMs.p50, median(cells[0]!.models[0]!.samplesMs));
  const [shown] = await page.locator('tbody td').allInnerTexts();
  assert.equal(shown, median(cells[0]!.models[0]!.samplesMs).toPrecision(3));

  const shownReport = await browser.newPage({ viewport: { width: 390, height: 900 } });
  await shownReport.setContent(await renderHtml(report));
  assert.equal(await shownReport.evaluate('document.documentElement.scrollWidth'), 390);
  assert.match(await shownReport.innerText('body'), /On a browser\n+onnxruntime-web [^]*teacher[^]*student/);
  await shownReport.close();

  assert.deepEqual(events, []);
  const foreign = requests.filter((url) => !url.startsWith(address) && !url.startsWith(`blob:${address}`));
  assert.deepEqual(foreign, [], 'nothing is asked of another server');
  const ofModels = requests.filter((url) => url.includes('/models/'));
  assert.equal(ofModels.length, 2, 'each model is loaded once for all openings');
  const corner = await page.evaluate(`getComputedStyle(document.querySelector('#form')).borderRadius`);
  assert.equal(corner, '12px', 'the style of all such pages, too');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
      assert.deepEqual(await page.evaluate(pageFaults), [], `${width} ${colorScheme}`);
    }
  }
});

test('WebGPU, without a graphics card, too', { skip }, async (t) => {
  const { page, events } = await openPage(t, await serve(t));
  if (await page.isHidden('#webgpu')) return t.skip('this Chromium has no adapter, not even in software');
  await withSettings(page, { seconds: 0, minRounds: 2, warmUpSeconds: 0, warmUpRuns: 2 });
  await page.check('input[value=webgpu]');
  const file = join(models.dir, 'webgpu.json');
  await measured(page, file);
  const { runtime, environment, cells, skipped } = await readResult(file);
  assert.equal(runtime.backend, 'webgpu');
  assert.ok(environment.gpu!.length > 0);
  assert.deepEqual(
    [cells.map(({ cell }) => cell), skipped.map(({ reason }) => reason)],
    [[0], ['threads make no difference to WebGPU']],
  );
  assert.deepEqual(events, []);
});

test('any other server will do, with one thread and a coarser clock', { skip }, async (t) => {
  const { page, events } = await openPage(t, `${await serveFolder(t, folder)}index.html`);
  assert.equal(await page.isVisible('#isolation'), true);
  const file = join(models.dir, 'plain.json');
  await measured(page, file);
  const result = await readResult(file);
  const { cells, skipped, environment } = result;
  assert.equal(environment.crossOriginIsolated, false);
  assert.deepEqual([cells.map(({ cell }) => cell), skipped.map(({ cell }) => cell)], [[0], [1]]);
  assert.match(skipped[0]!.reason, /isolated/);
  assert.match(await page.innerText('#notes'), /1 x 16, 2 threads: left out, several threads need/);
  assert.ok(environment.timerResolutionMs > 0.05, `${environment.timerResolutionMs}`);
  assertClockIsTold(result, await reportOfImports([file]));
  assert.deepEqual(events, []);
});

test('a combination that fails is left out with its reason, and the others are kept', { skip }, async (t) => {
  const spoilt = join(models.dir, 'spoilt');
  await exportTo(spoilt, models, { grid: { batch: [1], length: [8, 16, 32], threads: [1] }, seconds: 0 });
  await spoilCell(spoilt, 1);
  const { page } = await openPage(t, `${await serveFolder(t, spoilt)}index.html`);
  const file = join(models.dir, 'spoilt.json');
  await measured(page, file);
  const { cells, skipped } = await readResult(file);
  assert.deepEqual([cells.map(({ cell }) => cell), skipped.map(({ cell }) => cell)], [[0, 2], [1]]);
  assert.match(skipped[0]!.reason, /[Gg]ather/);
  assert.match(await page.innerText('#notes'), /1 x 16, 1 thread: left out, .*[Gg]ather/);
});

test('Stop keeps the rounds that are complete', { skip }, async (t) => {
  const { page } = await openPage(t, await serve(t));
  await withSettings(page, { seconds: 1000, maxRounds: 1e6 });
  await page.locator('#start:enabled').click();
  await page.locator('#stage', { hasText: 'Measuring' }).waitFor();
  await page.click('#stop');
  await page.locator('#saved').waitFor();
  assert.equal(await page.locator('table').count(), 1);
  assert.match(await page.innerText('#tables h3'), /1 x 16, 1 thread, \d+ round/);
});

test('a model that is another one is not measured', { skip }, async (t) => {
  const other = join(models.dir, 'other');
  await cp(folder, other, { recursive: true });
  await appendFile(join(other, 'models/1/model.onnx'), 'x');
  const { page } = await openPage(t, `${await serveFolder(t, other)}index.html`);
  await page.click('#start');
  await page.locator('#problem').waitFor();
  assert.match(await page.innerText('#reason'), /models\/1\/model\.onnx is not the file that was planned/);
});

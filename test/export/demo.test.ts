/** The page of kdx export --demo, in a browser: what it shows is what `predict` says of the same file. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import type { Page } from 'playwright-core';
import {
  exportCheckpoint,
  findWebPackage,
  openScheme,
  paritySentences,
  type ExportOptions,
  type Manifest,
} from '../../plugins/export/src/index.ts';
import { openClassifier, openSource, predict, type Prediction } from '../../src/classifier/index.ts';
import { bucketing, loadTokenizer } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { sha256File } from '../../src/files/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { pageFaults, useBrowser, withoutBrowser, type Opened } from '../support/browser.ts';
import {
  temporaryFolder,
  tinyRoberta,
  tokenizerFolder,
  writeTinyClassifier,
  type TinyOptions,
} from '../support/tiny-classifier.ts';
import { hidePackage } from './hidden-package.ts';
import { serveFolder } from './static-server.ts';
import { scopeOn } from './engine-scope.ts';

const withoutWeb = findWebPackage() === undefined && 'onnxruntime-web is not installed';
const skip = withoutWeb || withoutBrowser;

const browser = useBrowser();
let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

type Options = TinyOptions & Partial<ExportOptions>;

/** A folder with its page. */
async function exported(t: TestContext, { config, ...more }: Options = {}): Promise<string> {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'reviews'), join(dir, 'out')];
  await writeTinyClassifier(model, config ? { config } : {});
  const signal = new AbortController().signal;
  const common = {
    withEngine: scopeOn(engine),
    progress: silentProgress,
    signal,
    runtimes: ['node'] as const,
    demo: true,
  };
  await exportCheckpoint(model, { ...common, out, ...more });
  return out;
}

const int8 = async () => ({ quantize: { scheme: await openScheme('int8', []) } });

async function predicted(file: string, text: string, pair?: string): Promise<Prediction> {
  const classifier = await openClassifier(await openSource(file), engine);
  try {
    const [prediction] = await predict(classifier, [{ text, ...(pair !== undefined && { pair }) }]);
    return prediction!;
  } finally {
    await classifier.release();
  }
}

async function openDemo(t: TestContext, folder: string): Promise<Opened & { readonly address: string }> {
  const address = await serveFolder(t, folder);
  return { address, ...(await browser.open(t, `${address}demo/`)) };
}

/** In the page: both texts at once, so that no answer is to one of them. */
const setBoth = `(text, pair) => {
  document.getElementById('pair').value = pair;
  document.getElementById('text').value = text;
  document.getElementById('text').dispatchEvent(new Event('input'));
}`;

/** Types a text (and a pair) and reads the answer to it. */
async function answerTo(page: Page, text: string, pair?: string) {
  await page.fill('#text', '');
  if (await page.isVisible('#second')) await page.fill('#pair', '');
  await page.locator('#answer', { hasText: 'Type a text.' }).waitFor();
  if (pair !== undefined && (await page.isHidden('#second'))) await page.click('#toggle');
  if (pair === undefined) await page.fill('#text', text);
  else await page.evaluate(`(${setBoth})(${JSON.stringify(text)}, ${JSON.stringify(pair)})`);
  await page.locator('#bars li').first().waitFor();
  const bars = await page.$$eval('#bars li', (items) =>
    items.map((item) => ({
      label: item.getAttribute('data-label')!,
      probability: Number(item.getAttribute('data-probability')),
      width: item.querySelector('.fill')!.getAttribute('style')!.replace('width:', ''),
      shown: item.querySelector('.value')!.textContent!,
    })),
  );
  for (const { probability, width, shown } of bars) {
    assert.ok(Math.abs(Number.parseFloat(width) - 100 * probability) < 0.01, width);
    assert.ok(Math.abs(Number.parseFloat(shown) - 100 * probability) < 0.051, shown);
  }
  const answer = await page.getAttribute('#answer', 'data-label');
  return { label: answer, bars, score: bars.find(({ label }) => label === answer)?.probability };
}

test('label and probability are those of predict, of both files, for texts, pairs and no text', { skip }, async (t) => {
  const out = await exported(t, await int8());
  const { page, address, events, requests } = await openDemo(t, out);
  await page.locator('#result').waitFor();
  assert.equal(await page.innerText('h1'), 'reviews');
  const long = 'a good battery and a bad screen '.repeat(99);
  const texts: readonly [text: string, pair?: string][] = [
    ['the battery is good'],
    ['terrible, I want my money back!'],
    [long],
    ['𠀀 ΟΔΥΣΣΕΥΣ naïve\n\n<b>x</b>'],
    ['the battery is good', 'and the screen is bad'],
    [long, 'short'],
    ['short', long],
  ];
  const seen = new Set<string>();
  for (const [choice, file, tolerance] of [
    ['int8', 'onnx/model_quantized.onnx', 1e-3],
    ['float32', 'onnx/model.onnx', 1e-5],
  ] as const) {
    if (choice === 'float32') await page.getByRole('radio', { name: choice }).check();
    await page.locator('#size', { hasText: file.split('/')[1]! }).waitFor();
    if (await page.isVisible('#second')) await page.click('#toggle');
    for (const [text, pair] of texts) {
      const found = await answerTo(page, text, pair);
      const { label, score } = await predicted(join(out, file), text, pair);
      const what = `${choice}: ${text.slice(0, 30)}`;
      assert.equal(found.label, label, what);
      assert.ok(Math.abs(found.score! - score) < tolerance, `${what}: ${found.score}, ${score}`);
      assert.equal(await page.isVisible('#note'), text === long || pair === long, what);
      assert.match(await page.innerText('#latency'), /^[\d.,]+\sms$/);
      seen.add(`${label}`);
    }
  }
  assert.equal(seen.size, 2, 'both labels occur');

  await page.fill('#text', '  ');
  await page.fill('#pair', '');
  await page.locator('#answer', { hasText: 'Type a text.' }).waitFor();
  assert.equal(await page.locator('#bars li').count(), 0);
  assert.equal(await page.innerText('#latency'), '–');

  assert.deepEqual(events, []);
  assert.ok(requests.length > 9);
  assert.deepEqual(
    requests.filter((url) => !url.startsWith(address)),
    [],
    'nothing is asked of another server, or of another folder',
  );
});

test('a regression shows its number; weights in a data file', { skip }, async (t) => {
  const config = { id2label: { 0: 'similarity' }, problem_type: 'regression' };
  const out = await exported(t, { config, externalData: 'always' });
  const { page, events } = await openDemo(t, out);
  await page.locator('#result').waitFor();
  await page.fill('#text', 'a good battery');
  await page.locator('#answer[data-value]').waitFor();
  const { score } = await predicted(out, 'a good battery');
  assert.ok(Math.abs(Number(await page.getAttribute('#answer', 'data-value')) - score) < 1e-5);
  assert.equal(await page.innerText('#answer'), score.toFixed(3));
  assert.deepEqual(events, []);
});

test('nothing overflows, text is readable, names are never markup', { skip }, async (t) => {
  const evil = `<img src=https://example.com/x onerror="document.title='bad'"> ${'long'.repeat(30)}`;
  const out = await exported(t, { config: { id2label: { 0: evil, 1: 'a', 2: 'b' } } });
  const { page, events } = await openDemo(t, out);
  await page.locator('#result').waitFor();
  const { bars } = await answerTo(page, 'good', 'bad');
  assert.equal(bars[0]!.label, evil);
  assert.equal(await page.locator('img').count(), 0);
  const corner = await page.evaluate(`getComputedStyle(document.querySelector('#form')).borderRadius`);
  assert.equal(corner, '12px', 'the style of all such pages, too');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
      assert.deepEqual(await page.evaluate(pageFaults), [], `${width} ${colorScheme}`);
    }
  }
  assert.deepEqual(events, []);
});

test('what is missing is said', { skip }, async (t) => {
  const out = await exported(t);
  const local = await browser.newPage();
  await local.goto(pathToFileURL(join(out, 'demo/index.html')).href);
  assert.match(await local.innerText('[role=alert]:visible'), /needs a web server[^]*npx http-server[^]*:8080\/demo\//);
  assert.equal(await local.isHidden('#form'), true);
  await local.close();

  await writeFile(join(out, 'onnx/model.onnx'), 'cut short');
  const cut = await openDemo(t, out);
  await cut.page.locator('#problem').waitFor();
  assert.match(await cut.page.innerText('#problem'), /onnx\/model\.onnx has 9 of \d+ bytes/);
  await rm(join(out, 'tokenizer.json'));
  const alone = await openDemo(t, out);
  await alone.page.locator('#problem').waitFor();
  assert.match(await alone.page.innerText('#problem'), /tokenizer\.json could not be loaded: 404/);
});

test('the encoder of the page gives the ids and the padding of kdx', async () => {
  const { createEncoder, paddedLength } = (await import(
    new URL('../../plugins/export/demo/encoder.js', import.meta.url).href
  )) as {
    createEncoder: (
      library: typeof Library,
      tokenizer: unknown,
      config: unknown,
      maxLength: number,
    ) => (text: string, pair?: string) => { ids: number[]; typeIds: number[]; tokens: number };
    paddedLength: (length: number, maxLength: number) => number;
  };
  for (const maxLength of [50, 512])
    for (let length = 1; length <= maxLength; length++)
      assert.equal(paddedLength(length, maxLength), bucketing(maxLength)(length));
  const texts = [...paritySentences.map(({ text }) => text), '', ' ', 'ΣΣ Σ', '𠀀𪜀', '[SEP] x [CLS]', '\0first', 'ﬁ'];
  for (const folder of [tokenizerFolder, tinyRoberta.tokenizer!])
    for (const maxLength of [8, 9, 160]) {
      const tokenizer = await loadTokenizer(folder);
      const [json, config] = ['tokenizer.json', 'tokenizer_config.json'].map((name) =>
        JSON.parse(tokenizer.files[name]!),
      );
      const encode = createEncoder(Library, json, config, maxLength);
      for (const [i, text] of texts.entries())
        for (const pair of [undefined, texts[(7 * i + 3) % texts.length]!]) {
          const { tokens, ...encoding } = encode(text, pair);
          assert.deepEqual(encoding, tokenizer.encode(text, pair, maxLength), `${text}, ${pair}`);
          assert.equal(tokens, tokenizer.encode(text, pair, 9999).ids.length);
        }
    }
});

test('every file of the page is in kdx.json, with the same bytes each time', { skip: withoutWeb }, async (t) => {
  const [a, b] = [await exported(t), await exported(t)];
  const manifests = await Promise.all(
    [a, b].map(async (dir) => JSON.parse(await readFile(join(dir, 'kdx.json'), 'utf8')) as Manifest),
  );
  const [first, second] = manifests.map(({ files }) => files.filter(({ path }) => path.startsWith('demo/')));
  assert.deepEqual(first, second);
  assert.deepEqual(
    first!.map(({ path }) => path.slice('demo/'.length)),
    [
      ...['NOTICE.txt', 'demo.js', 'encoder.js', 'index.html', 'model.json', 'ort-wasm-simd-threaded.wasm', 'ort.js'],
      ...['style.css', 'tokenizers.js'],
    ],
  );
  for (const { path, sha256 } of first!) assert.equal(await sha256File(join(a, path)), sha256);
  const bytes = first!.reduce((sum, file) => sum + file.bytes, 0);
  assert.ok(bytes < 15e6, `${bytes} bytes`);
});

test('without onnxruntime-web the page is refused before anything is done', async (t) => {
  hidePackage(t, 'onnxruntime-web');
  await assert.rejects(exported(t), (error: unknown) => {
    assert.ok(error instanceof KdxError, String(error));
    assert.equal(error.code, 'missing-package');
    assert.match(error.message, /--demo needs onnxruntime-web/);
    assert.match(error.suggestions.join(), /npm install onnxruntime-web/);
    return true;
  });
});

/** A browser for the tests of pages: where one is installed, what a page says and asks for, what is wrong to the eye. */
import { readFileSync } from 'node:fs';
import { after, before, type TestContext } from 'node:test';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { findProgram } from '../../src/commands/surroundings.ts';

const executablePath = findProgram(['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']);
export const withoutBrowser = executablePath === undefined && 'no Chromium is installed';

export const phone = { width: 390, height: 800 };
export const desktop = { width: 1280, height: 800 };

/** To be evaluated in a page: its faults, as texts. */
export const pageFaults = readFileSync(new URL('page-faults.js', import.meta.url), 'utf8');

export interface Shown {
  readonly page: Page;
  /** Console messages, errors and requests. */
  readonly events: readonly string[];
}

export interface Opened {
  readonly page: Page;
  /** Console messages, errors and failed requests. */
  readonly events: readonly string[];
  readonly requests: readonly string[];
}

export interface Pages {
  newPage(options?: BrowserContextOptions): Promise<Page>;
  /** A page from its text, which the caller closes. */
  show(html: string, viewport?: typeof desktop, colorScheme?: 'light' | 'dark'): Promise<Shown>;
  /**
   * A page from a server, open until the test ends.
   * @param ignored console messages that are no events
   */
  open(t: TestContext, address: string, ignored?: readonly string[]): Promise<Opened>;
}

/**
 * The browser of a test file, where one is installed.
 * @param flags of Chromium
 */
export function useBrowser(...flags: readonly string[]): Pages {
  let browser: Browser | undefined;
  before(async () => {
    // Tests may run as root in a container, where Chromium has no sandbox.
    const args = ['--no-sandbox', ...flags];
    if (executablePath !== undefined) browser = await chromium.launch({ executablePath, args });
  });
  after(() => browser?.close());

  const newPage = (options?: BrowserContextOptions) => browser!.newPage(options);
  return {
    newPage,
    async show(html, viewport = desktop, colorScheme = 'light') {
      const page = await newPage({ viewport, colorScheme });
      const events: string[] = [];
      page.on('console', (message) => events.push(message.text()));
      page.on('pageerror', (error) => events.push(String(error)));
      page.on('request', (request) => events.push(request.url()));
      await page.setContent(html);
      return { page, events };
    },
    async open(t, address, ignored = []) {
      const page = await newPage();
      t.after(() => page.close());
      const [events, requests]: [string[], string[]] = [[], []];
      page.on('console', (message) => {
        if (!ignored.includes(message.text())) events.push(message.text());
      });
      page.on('pageerror', (error) => events.push(String(error)));
      page.on('requestfailed', (request) => events.push(`failed: ${request.url()}`));
      page.on('request', (request) => requests.push(request.url()));
      await page.goto(address);
      return { page, events, requests };
    },
  };
}

/** What is at a path of a report, such as `students.0.latencyMs.p50`. */
export function valueAt(report: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], report);
}

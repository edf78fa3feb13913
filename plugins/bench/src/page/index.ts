/** The report of `kdx bench` as a page and for a pull request. */
export * from './command-line.ts';
export * from './pages.ts';
export * from './render-html.ts';
export * from './render-markdown.ts';
export * from './report-again.ts';
export * from './saved-report.ts';
export * from './statements.ts';
export * from './terminal-bars.ts';

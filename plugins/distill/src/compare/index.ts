/** Statistics and report of `kdx compare`. */
export * from './cell.ts';
export * from './render-html.ts';
export * from './render-markdown.ts';
export * from './render-text.ts';
export * from './report.ts';
export * from './summarize.ts';

/** Reports as pages and documents. */
export * from './form-style.ts';
export * from './html.ts';
export * from './markdown.ts';
export * from './plot.ts';
export * from './style.ts';
export * from './svg.ts';
export * from './table.ts';

/** Graph to graph, pure: what can be left out or stored once without changing an answer. */
export * from './constants.ts';
export * from './dead.ts';
export * from './fold.ts';
export * from './half-products.ts';
export * from './saturation.ts';
export * from './sharing.ts';

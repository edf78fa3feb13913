/** Differentiation of graphs. */
export { withReaders } from './recompute.ts';
export * from './reverse.ts';

/** Differentiation of graphs. */
export * from './reverse.ts';

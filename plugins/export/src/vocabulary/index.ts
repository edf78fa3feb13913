/** Vocabulary pruning. */
export * from './corpus-file.ts';
export * from './coverage.ts';
export * from './prune.ts';
export * from './pruned-source.ts';

/** Tokenizing, task files, batches, metrics, and the random streams that order them. */
export * from './batches.ts';
export * from './collate.ts';
export * from './encoded.ts';
export * from './metrics.ts';
export * from './random.ts';
export * from './score.ts';
export * from './task-data.ts';
export * from './tasks.ts';
export * from './tokenizer.ts';

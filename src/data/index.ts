/** Tokenizing, task files, batches, metrics, and the random streams that order them. */
export * from './batches.ts';
export * from './beta.ts';
export * from './collate.ts';
export * from './encoded.ts';
export * from './extra-examples.ts';
export * from './metrics.ts';
export * from './normal.ts';
export * from './random.ts';
export * from './resampled-metrics.ts';
export * from './score.ts';
export * from './subset.ts';
export * from './task-data.ts';
export * from './tasks.ts';
export * from './tokenizer.ts';
export * from './words.ts';

/** Progress of long work, as library code reports it. */
export * from './progress.ts';
export * from './rate.ts';

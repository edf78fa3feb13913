/** Optimizers as graphs. */
export * from './adamw.ts';
export * from './clipping.ts';
export * from './schedule.ts';

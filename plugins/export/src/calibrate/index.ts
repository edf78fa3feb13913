/** Calibration methods: from the values of activations to the ranges that are quantized. */
export * from './activation-ranges.ts';
export * from './entropy.ts';
export * from './histogram.ts';
export * from './mean-squared-error.ts';
export * from './percentile.ts';
export * from './sentences.ts';

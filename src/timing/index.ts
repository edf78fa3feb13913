/** Measuring subjects against each other, and the statistics by which a difference is believed. */
export * from './bootstrap.ts';
export * from './inputs.ts';
export * from './latency.ts';
export * from './measurement.ts';
export * from './sections.ts';
export * from './sentences.ts';
export * from './speedup.ts';
export * from './statistics.ts';
export * from './student.ts';

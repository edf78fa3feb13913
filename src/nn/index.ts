/** Models as graphs. */
export * from './architecture.ts';
export * from './bert.ts';
export * from './fake-quantize.ts';
export * from './flops.ts';
export * from './layers.ts';
export * from './loss.ts';
export * from './masked-lm.ts';
export * from './parameters.ts';

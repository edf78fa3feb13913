/** Models as graphs. */
export * from './architecture.ts';
export * from './bert.ts';
export * from './layers.ts';
export * from './loss.ts';
export * from './parameters.ts';

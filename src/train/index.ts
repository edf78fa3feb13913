/** Training: the step as a graph, the loop around it, its state. */
export * from './loop.ts';
export * from './loss-scale.ts';
export * from './masks.ts';
export * from './memory.ts';
export * from './state.ts';
export * from './step.ts';

/** The nouns of kdx: tensors, graphs, and what can be done with them without knowing any operator. */
export * from './tensor.ts';
export * from './graph.ts';
export * from './walk.ts';
export * from './print.ts';
export * from './check.ts';

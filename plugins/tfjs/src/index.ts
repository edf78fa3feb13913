/** An execution engine on TensorFlow.js. */
export { tfjsEngine, type TfjsOptions } from './open.ts';
export type { Backend } from './load.ts';

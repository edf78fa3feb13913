/** Text classifiers that can be run: checkpoints as graphs, ONNX files, their tokenizers and labels. */
export * from './classifier.ts';
export * from './evaluation.ts';
export * from './graph-summary.ts';
export * from './logits.ts';
export * from './model.ts';
export * from './named-config.ts';
export { isLetterTokenizer } from './random-source.ts';
export * from './tuning.ts';

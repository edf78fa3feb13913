/** Hugging Face folders in and out: config.json, safetensors, tokenizer files, and models of the hub. */
export * from './bert-config.ts';
export * from './bert-tensors.ts';
export * from './checkpoint.ts';
export * from './config-reader.ts';
export * from './config-writer.ts';
export * from './float-conversion.ts';
export * from './resolve.ts';
export type { SafetensorsDType, SafetensorsEntry, SafetensorsHeader } from './safetensors-header.ts';
export * from './safetensors-reader.ts';
export * from './safetensors-writer.ts';
export type { Weights } from './stored-tensors.ts';
export { copyTokenizerFiles } from './tokenizer-copy.ts';
export * from './unshare.ts';
export { isObject, parseJson, readJsonText, shown, type JsonObject } from './json.ts';
export { tokenizerFileNames } from './weight-files.ts';

/** ONNX files: the only place where protobuf appears. */
export { decodeModel, type DecodeOptions } from './decoding.ts';
export { encodeModel, type EncodedModel, type EncodeOptions, type ExternalData } from './encoding.ts';
export { externalDataName, readModel, writeModel, type WriteOptions } from './model-file.ts';

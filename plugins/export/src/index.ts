/** The library behind `kdx export`. */
export * from './calibrate/index.ts';
export * from './calibration.ts';
export * from './demo/index.ts';
export * from './export.ts';
export * from './fidelity.ts';
export * from './fold.ts';
export * from './manifest.ts';
export * from './output-folder.ts';
export * from './parity.ts';
export * from './quantization.ts';
export * from './quantize/quantizer.ts';
export * from './quantize/quantizers.ts';
export * from './runtimes/index.ts';
export * from './same-answers.ts';
export * from './sentences.ts';
export * from './tune/index.ts';

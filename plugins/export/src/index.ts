/** The library behind `kdx export`. */
export * from './export.ts';
export * from './manifest.ts';
export * from './output-folder.ts';
export * from './parity.ts';
export * from './sentences.ts';

/** Files and folders that are never half-written, and content hashes. */
export * from './atomic.ts';
export * from './folder.ts';
export * from './hash.ts';

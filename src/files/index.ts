/** Files that are never half-written, and content hashes. */
export * from './atomic.ts';
export * from './hash.ts';

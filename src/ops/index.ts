/** Operators: what each is, and the builder that calls them. */
export * from './builder.ts';
export * from './broadcast.ts';
export * from './entry.ts';
export * from './signatures.ts';
export * from './table.ts';
export * from './value.ts';

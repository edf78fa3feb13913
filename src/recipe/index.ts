/** Recipes (all options of a run, with defaults) and the folder that a run leaves. */
export * from './json.ts';
export * from './metrics-log.ts';
export * from './overrides.ts';
export * from './problems.ts';
export * from './resolve.ts';
export * from './run-folder.ts';
export * from './run-lock.ts';
export * from './schema.ts';
export * from './shell-text.ts';
export * from './versions.ts';

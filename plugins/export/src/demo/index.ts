/** The page that an exported folder can hold. */
export * from './demo-folder.ts';

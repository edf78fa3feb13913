/** The runtimes that an exported file is checked on. */
export * from './check.ts';
export * from './gates.ts';
export * from './web-package.ts';
export * from './web-session.ts';

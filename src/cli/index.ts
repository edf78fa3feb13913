/** What commands are made of. */
export * from './command.ts';
export * from './data-source.ts';
export * from './device-flag.ts';
export * from './engine.ts';
export * from './failure.ts';
export * from './flags.ts';
export * from './hooks.ts';
export * from './interrupt.ts';
export * from './numbers.ts';
export * from './progress.ts';
export * from './shell.ts';
export * from './table.ts';
export * from './text.ts';
export * from './tuned-options.ts';

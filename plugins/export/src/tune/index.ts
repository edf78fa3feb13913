/** Session options that are fastest on this machine, for kdx.json. */
export * from './session-settings.ts';
export * from './tuned-file.ts';
export * from './tuner.ts';

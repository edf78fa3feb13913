/** Measurements on other devices: the folder that goes there, and the result that comes back. */
export * from './export-runner.ts';
export * from './imported-run.ts';
export * from './result-file.ts';
export * from './result-report.ts';

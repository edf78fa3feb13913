/** Where the optional package onnxruntime-web is, if it is installed. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { KdxError } from '../errors/index.ts';

export interface WebPackage {
  readonly version: string;
  /** Folder of the builds. */
  readonly dist: string;
}

/** @param importer path or address of the module that would import it */
export function findWebPackage(importer: string): WebPackage | undefined {
  let entry: string;
  try {
    entry = createRequire(importer).resolve('onnxruntime-web');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
  const dist = dirname(entry);
  const { version } = JSON.parse(readFileSync(join(dist, '..', 'package.json'), 'utf8')) as { version: string };
  return { version, dist };
}

/**
 * @param what needs it, such as a flag
 * @throws KdxError `missing-package`
 */
export function requireWebPackage(importer: string, what: string): WebPackage {
  const found = findWebPackage(importer);
  if (found) return found;
  throw new KdxError('missing-package', `${what} needs onnxruntime-web, which is not installed`, {
    suggestions: ['npm install onnxruntime-web@1.30 in the folder of kdx'],
  });
}

/** A driver for tests of the host: it refuses to open, or has runs that end only when the engine is closed. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { DriverModule } from '../../src/engine/index.ts';
import { nativeLibrary } from '../../src/engine/library.ts';
import { KdxError } from '../../src/errors/index.ts';

/** Any native addon. */
export const addon = join(nativeLibrary().folder, 'onnxruntime_binding.node');

type WaitingModule = DriverModule<{ readonly opens: boolean }, readonly [], string>;

export const open: WaitingModule['open'] = async ({ opens }, isClosing) => {
  if (!opens) {
    createRequire(import.meta.url)(addon);
    throw new KdxError('no-device', 'it has gone', { suggestions: ['look for it'], exitCode: 1 });
  }
  const outputs = [{ name: 'y', dtype: 'float32', shape: [] }] as const;
  return {
    driver: {
      createSession: () => ({ inputs: [], outputs }),
      run() {
        while (!isClosing());
        throw new Error('it was closed');
      },
      releaseSession: () => undefined,
      put: () => undefined,
      get: () => [],
      drop: () => undefined,
      close: () => undefined,
    },
    ready: 'it waits',
  };
};

export const addons: WaitingModule['addons'] = () => [addon];

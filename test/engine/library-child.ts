/** Collects garbage between opening the C API and calling it; an unloaded library ends the process. */
import { setTimeout } from 'node:timers/promises';
import { loadKoffi, nativeLibrary } from '../../src/engine/library.ts';
import { openOrtApi } from '../../src/engine/ort-api.ts';

const koffi = await loadKoffi();
if (koffi instanceof Error) console.log('koffi is not installed');
else {
  const api = openOrtApi(koffi, nativeLibrary().path);
  for (let i = 0; i < 5; i++) {
    globalThis.gc!();
    await setTimeout(10);
  }
  api.release('ReleaseSessionOptions', api.get('CreateSessionOptions'));
  console.log('called');
}

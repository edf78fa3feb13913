/** The ways to ONNX Runtime that can be tested here: the C API only where koffi, an optional dependency, is installed. */
import { loadKoffi } from '../../src/engine/library.ts';

export const hasKoffi = !((await loadKoffi()) instanceof Error);
/** Reason for a test runner's `skip`, or false. */
export const withoutKoffi = hasKoffi ? false : 'koffi is not installed';
export const backends: readonly ('capi' | 'binding')[] = hasKoffi ? ['capi', 'binding'] : ['binding'];

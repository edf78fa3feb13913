/**
 * Denormal numbers as zero, on every thread that computes.
 *
 * ONNX Runtime sets `session.set_denormal_as_zero` on the threads of a session's pool, but on the thread that calls `Run`,
 * which takes its share of the work, only for the first session of the process. Left at that, the result of a run would
 * depend on which thread computed which row.
 */
import type { Koffi } from './library.ts';

const smallest = new Float64Array([Number.MIN_VALUE]);

/** Whether this thread takes denormal numbers as zero; its JavaScript does the same arithmetic as its native code. */
export function flushesDenormals(): boolean {
  return (smallest[0] as number) + (smallest[0] as number) === 0;
}

/** fenv_t of x86-64 Linux (glibc and musl): 28 bytes of x87 state, then MXCSR. */
const FENV_BYTES = 32;
const MXCSR_OFFSET = 28;
/** MXCSR: flush results to zero (bit 15), take operands as zero (bit 6). */
const FLUSH = 0x8040;

/** Makes this thread take denormals as zero, on platforms where we know how. */
export function flushDenormals(koffi: Koffi): void {
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  const libm = koffi.load(null);
  const environment = new DataView(new ArrayBuffer(FENV_BYTES));
  libm.func('fegetenv', 'int', ['void *'])(environment.buffer);
  environment.setUint32(MXCSR_OFFSET, environment.getUint32(MXCSR_OFFSET, true) | FLUSH, true);
  libm.func('fesetenv', 'int', ['void *'])(environment.buffer);
}

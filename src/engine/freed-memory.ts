/** Memory that was freed, and that the allocator keeps for later. */
import type { Koffi } from './library.ts';

/** glibc keeps what ended threads and closed sessions have freed, hundreds of megabytes; this gives it to the system. */
export function returnFreedMemory(koffi: Koffi): void {
  if (process.platform !== 'linux') return;
  const trim = trimOf(koffi);
  trim?.(0);
}

/** Undefined with a C library that has none, such as musl, which keeps little. */
function trimOf(koffi: Koffi): ((padding: number) => unknown) | undefined {
  try {
    return koffi.load(null).func('malloc_trim', 'int', ['size_t']);
  } catch {
    return undefined;
  }
}

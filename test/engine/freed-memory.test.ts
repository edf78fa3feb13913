/** Freed memory goes back to the system where the C library can do that, and nothing happens elsewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { returnFreedMemory } from '../../src/engine/freed-memory.ts';
import { loadKoffi, type Koffi } from '../../src/engine/library.ts';
import { withoutKoffi } from '../support/backends.ts';

const linuxOnly = process.platform === 'linux' ? false : 'only Linux has malloc_trim';

test('the C library is called', { skip: linuxOnly }, () => {
  const calls: unknown[] = [];
  const koffi = { load: () => ({ func: (name: string) => (padding: number) => calls.push([name, padding]) }) };
  returnFreedMemory(koffi as unknown as Koffi);
  assert.deepEqual(calls, [['malloc_trim', 0]]);
});

test('a C library without it is no error', () => {
  const func = () => {
    throw new Error('Cannot find function malloc_trim');
  };
  returnFreedMemory({ load: () => ({ func }) } as unknown as Koffi);
});

test('the one of this process can be called', { skip: withoutKoffi }, async () => {
  returnFreedMemory((await loadKoffi()) as Koffi);
});

/** The dynamic section of shared libraries: of built bytes, of this system's own, and of files that are no libraries. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readSharedObject } from '../../src/engine/elf.ts';
import { nativeLibrary } from '../../src/engine/library.ts';
import { sharedObject, writeSharedObject } from './shared-object.ts';

const folder = mkdtempSync(join(tmpdir(), 'kdx-test-'));
after(() => rmSync(folder, { recursive: true }));

test('names, needs and versions are read', () => {
  const parts = { name: 'libx.so.1', needed: ['liba.so.3', 'libb.so'], versions: ['libx.so.1', 'VERS_1.2.3'] };
  assert.deepEqual(readSharedObject(writeSharedObject(join(folder, 'libx.so.1'), parts)), parts);
  const bare = { name: undefined, needed: [], versions: [] };
  assert.deepEqual(readSharedObject(writeSharedObject(join(folder, 'bare.so'))), bare);
});

test('the library of onnxruntime-node tells its version', { skip: process.platform !== 'linux' && 'no ELF' }, () => {
  const { path, version } = nativeLibrary();
  const found = readSharedObject(path);
  assert.equal(found?.name, 'libonnxruntime.so.1');
  assert.ok(found.needed.includes('libc.so.6'), String(found.needed));
  assert.ok(found.versions.includes(`VERS_${version}`), String(found.versions));
  assert.ok(existsSync(path));
});

test('whatever is no library is undefined, wherever it is cut', () => {
  const whole = sharedObject({ name: 'libx.so', needed: ['liba.so'], versions: ['libx.so', 'V1'] });
  const file = join(folder, 'cut.so');
  const read = (data: Buffer) => {
    writeFileSync(file, data);
    return readSharedObject(file);
  };
  for (let bytes = 0; bytes < whole.length; bytes++)
    assert.equal(read(whole.subarray(0, bytes)), undefined, `${bytes}`);
  assert.notEqual(read(whole), undefined);
  assert.equal(
    read(Buffer.from('not a library at all, but long enough to be taken for a header of one'.repeat(2))),
    undefined,
  );
  const narrow = Buffer.from(whole);
  narrow[4] = 1;
  assert.equal(read(narrow), undefined);
  const endless = Buffer.from(whole);
  endless.writeBigUInt64LE(2n ** 50n, 64 + 56 + 32);
  assert.equal(read(endless), undefined);
  assert.equal(readSharedObject(join(folder, 'absent.so')), undefined);
  assert.equal(readSharedObject(folder), undefined);
});

/** Files are written whole or not at all. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { KdxError } from '../../src/errors/index.ts';
import { fileError, fileExists, sha256, sha256File, writeFileAtomic } from '../../src/files/index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-files-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** A system error as Node throws it. */
function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

const bytes = (...values: number[]) => Uint8Array.from(values);

describe('writeFileAtomic', () => {
  const contents: Readonly<Record<string, readonly [Parameters<typeof writeFileAtomic>[1], string]>> = {
    'text in UTF-8': ['grün', 'grün'],
    bytes: [Buffer.from('abc'), 'abc'],
    'no bytes': [new Uint8Array(), ''],
    chunks: [[Buffer.from('a'), new Uint8Array(), Buffer.from('bc')], 'abc'],
    'chunks that come later': [
      (async function* () {
        for (const word of ['x', 'yz']) yield await Promise.resolve(Buffer.from(word));
      })(),
      'xyz',
    ],
  };
  for (const [title, [content, text]] of Object.entries(contents))
    it(`replaces the whole file by ${title}`, async () => {
      const path = join(folder, title, 'deeper', 'file');
      await writeFileAtomic(path, 'something that was there before and is longer');
      await writeFileAtomic(path, content);
      assert.equal(await readFile(path, 'utf8'), text);
      assert.deepEqual(await readdir(join(folder, title, 'deeper')), ['file']);
    });

  const failures: Readonly<Record<string, readonly [() => Promise<void>, object]>> = {
    'its source fails': [() => Promise.reject(new Error('half of it')), { message: 'half of it' }],
    'the disk is full': [() => Promise.reject(systemError('ENOSPC')), { code: 'disk-full', exitCode: 2 }],
    'the quota is used up': [() => Promise.reject(systemError('EDQUOT')), { code: 'disk-full' }],
    // A device that is always full gives the error of a real write.
    ...(process.platform === 'linux' && {
      'a write fails for want of space': [() => writeFile('/dev/full', 'x'), { code: 'disk-full' }],
    }),
  };
  for (const [title, [fail, expected]] of Object.entries(failures))
    it(`leaves the old file, and nothing beside it, when ${title}`, async () => {
      const home = join(folder, title);
      const path = join(home, 'file');
      await writeFileAtomic(path, 'old');
      const chunks = async function* () {
        yield bytes(1, 2, 3);
        await fail();
      };
      await assert.rejects(writeFileAtomic(path, chunks()), expected);
      assert.equal(await readFile(path, 'utf8'), 'old');
      assert.deepEqual(await readdir(home), ['file']);
    });

  it('says that the target is a folder, and leaves nothing beside it', async () => {
    const home = join(folder, 'home');
    await mkdir(join(home, 'taken'), { recursive: true });
    await assert.rejects(writeFileAtomic(join(home, 'taken'), ''), { code: 'not-a-file' });
    assert.deepEqual(await readdir(home), ['taken']);
  });

  for (const below of ['x', 'x/y'])
    it(`says that a part of the path is a file (file/${below})`, async () => {
      await writeFile(join(folder, 'plain'), '');
      await assert.rejects(writeFileAtomic(join(folder, 'plain', below), ''), {
        code: 'not-a-folder',
        message: /plain/,
      });
    });

  it('writes at the same time do not mix', async () => {
    const path = join(folder, 'contended');
    const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000));
    await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
    assert.ok(texts.includes(await readFile(path, 'utf8')));
  });
});

describe('fileError', () => {
  const codes: Readonly<Record<string, string>> = {
    ENOSPC: 'disk-full',
    ENOENT: 'file-not-found',
    EACCES: 'file-not-accessible',
    EPERM: 'file-not-accessible',
    EROFS: 'file-not-accessible',
    EISDIR: 'not-a-file',
    ENOTDIR: 'not-a-folder',
    EEXIST: 'not-a-folder',
  };
  for (const [system, code] of Object.entries(codes))
    it(`${system} is ${code}, with the path and the cause`, () => {
      const cause = systemError(system);
      const error = fileError(cause, '/a/path') as KdxError;
      assert.ok(error instanceof KdxError);
      assert.equal(error.code, code);
      assert.match(error.message, /\/a\/path/);
      assert.equal(error.cause, cause);
    });

  for (const other of [systemError('EIO'), new KdxError('any-code', 'message'), undefined])
    it(`${String(other)} passes through`, () => assert.equal(fileError(other, '/a/path'), other));
});

describe('what is there', () => {
  it('fileExists sees files and folders', async () => {
    await writeFile(join(folder, 'here'), '');
    assert.deepEqual(
      await Promise.all(['here', '', 'not here', 'nor/here'].map((name) => fileExists(join(folder, name)))),
      [true, true, false, false],
    );
  });

  // SHA-256 of nothing and of abc: FIPS 180-2, appendix B, and its errata.
  const hashes: readonly [string, string][] = [
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ];
  for (const [text, hash] of hashes)
    it(`the hash of ${JSON.stringify(text)} is that of the standard`, async () => {
      const path = join(folder, 'hashed');
      await writeFile(path, text);
      assert.equal(await sha256File(path), hash);
      assert.equal(sha256(text), hash);
      assert.equal(sha256(...text), hash);
    });

  it('a file of many chunks has the hash of its content', async () => {
    const content = Buffer.alloc(300_000, 'kdx');
    await writeFile(join(folder, 'large'), content);
    assert.equal(await sha256File(join(folder, 'large')), sha256(content));
  });

  it('hashing what is not a file is an error that names it', async () => {
    await assert.rejects(sha256File(join(folder, 'none')), { code: 'file-not-found', message: /none/ });
    await assert.rejects(sha256File(folder), { code: 'not-a-file' });
  });
});

/** Compiled files that are older than their sources are found out, in the root package and in plugins. */
import assert from 'node:assert/strict';
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../support/tiny-classifier.ts';
import { staleSource } from './compiled.ts';

test('a source newer than the build of its package', async (t) => {
  const root = await temporaryFolder(t);
  await writeFile(join(root, 'package.json'), JSON.stringify({ workspaces: ['plugins/a'] }));
  const at = (path: string, seconds: number) => utimes(join(root, path), seconds, seconds);
  for (const folder of ['', 'plugins/a/']) {
    await mkdir(join(root, `${folder}src/inner`), { recursive: true });
    await mkdir(join(root, `${folder}dist`));
    for (const [file, seconds] of [
      ['src/inner/x.ts', 10],
      ['src/README.md', 99],
      ['dist/.tsbuildinfo', 20],
    ] as const) {
      await writeFile(join(root, folder + file), '');
      await at(folder + file, seconds);
    }
  }
  assert.equal(staleSource(root), undefined);
  for (const source of ['src/inner/x.ts', 'plugins/a/src/inner/x.ts']) {
    await at(source, 21);
    assert.equal(staleSource(root), join(root, source));
    await at(source, 10);
  }
  await rm(join(root, 'plugins/a/dist'), { recursive: true });
  assert.equal(staleSource(root), join(root, 'plugins/a/src/inner/x.ts'), 'never compiled');
});

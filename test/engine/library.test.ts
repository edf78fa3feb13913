/** The C API stays callable for as long as it is held. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNode } from '../cli/program.ts';

test('the library is not unloaded by the garbage collector', async () => {
  const child = fileURLToPath(new URL('library-child.ts', import.meta.url));
  const options = ['--expose-gc', '--conditions=source', '--import', import.meta.resolve('tsx')];
  const { code, stdout, stderr } = await runNode([...options, child]);
  assert.equal(code, 0, `a crash has no exit code: ${stderr}`);
  assert.match(stdout, /^(called|koffi is not installed)$/m);
});

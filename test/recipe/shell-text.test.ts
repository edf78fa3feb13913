/** A command line as text: what a shell makes of it are the words again. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { shellText } from '../../src/recipe/index.ts';

const words = ['kdx', '--fail-on', '5%', 'a b', "it's", '$HOME', '', "'", '--set=x=[1,2]', '~/a*', '`id`\n"\\', 'ä;#&'];

test('quotes where they are needed', () => {
  assert.equal(shellText(words.slice(0, 7)), `kdx --fail-on 5% 'a b' 'it'\\''s' '$HOME' ''`);
});

test('a shell takes the text apart into the same words', { skip: process.platform === 'win32' && 'no sh' }, () => {
  const output = execFileSync('sh', ['-c', `printf '%s\\0' ${shellText(words)}`], { encoding: 'utf8' });
  assert.deepEqual(output.split('\0').slice(0, -1), words);
});

/** kdx fold as a program: result, JSON, and what a wrong command line says. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FoldResult } from '../../plugins/export/src/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { runKdx } from '../cli/program.ts';
import { runCommand } from '../cli/run-command.ts';
import { linear } from '../onnx/samples.ts';
import { encoder, small } from '../passes/encoders.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';

const run = (...words: string[]) => runKdx(words);

test('for people and as JSON; kdx inspect finds nothing twice', async (t) => {
  const dir = await temporaryFolder(t);
  const [file, plain, out, json] = ['in.onnx', 'plain.onnx', 'out.onnx', 'json.onnx'].map((name) =>
    join(dir, name),
  ) as [string, string, string, string];
  await writeModel(file, encoder(small));
  await writeModel(plain, linear());
  const human = await run('fold', file, '--out', out);
  assert.equal(human.code, 0, human.stderr);
  assert.match(human.stdout, /^weights: 2\.\d+ MB before, \d+ kB after \(\d+\.\d %\)$/m);
  assert.match(human.stdout, /^encoder\.0\.ff1\.weight +12 +0 +0 +\d+ kB$/m);
  assert.match(human.stdout, /^answers: the same to the bit in 3 runs on made-up inputs$/m);

  const nothing = await run('fold', plain, '--out', json);
  assert.match(nothing.stdout, /^nothing to fold: every weight was stored once already$/m);

  const machine = await run('fold', file, '--out', json, '--force', '--no-views', '--json');
  assert.equal(machine.code, 0, machine.stderr);
  const result = JSON.parse(machine.stdout) as FoldResult;
  assert.equal(result.groups.length, 16 + 4);
  assert.deepEqual(result.answers, { checked: true, runs: 3, same: true });

  const inspected = await run('inspect', out, '--json');
  const { onnx } = JSON.parse(inspected.stdout) as { onnx: { duplicates: unknown[]; foldableBytes: number }[] };
  assert.deepEqual([onnx[0]?.duplicates, onnx[0]?.foldableBytes], [[], 0]);
});

test('mistakes end with exit code 2, and nothing is written', async (t) => {
  const dir = await temporaryFolder(t);
  const [file, text] = [join(dir, 'in.onnx'), join(dir, 'text.onnx')];
  await writeModel(file, linear());
  await writeFile(text, 'no model');
  const out = join(dir, 'out.onnx');
  const cases: readonly [words: readonly string[], code: string, message: RegExp][] = [
    [[file], 'invalid-usage', /missing required flag --out/],
    [['--out', out], 'invalid-usage', /file/],
    [[text, '--out', out], 'corrupt-onnx', /text\.onnx/],
    [[file, '--out', text], 'output-exists', /text\.onnx exists already/],
    [[join(dir, 'none.onnx'), '--out', out], 'file-not-found', /does not exist/],
  ];
  for (const [words, code, message] of cases) {
    const { failure } = await runCommand(['fold', ...words]);
    assert.equal(failure?.exitCode, 2, code);
    assert.equal(failure.code, code);
    assert.match(failure.message, message);
  }
  assert.deepEqual((await readdir(dir)).sort(), ['in.onnx', 'text.onnx']);
});

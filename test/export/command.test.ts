/** kdx export as a program: result, JSON, and what a wrong command line says. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ExportResult } from '../../plugins/export/src/index.ts';
import { runKdx } from '../cli/program.ts';
import { runCommand } from '../cli/run-command.ts';
import { reviewsFolder, temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

const run = (...words: string[]) => runKdx(['export', ...words]);

test('for people and as JSON', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out, other] = [join(dir, 'model'), join(dir, 'out'), join(dir, 'other')];
  await writeTinyClassifier(model);
  const node = ['--runtimes', 'node'];
  const data = [...node, '--data', reviewsFolder, '--task', 'sst2'];
  const human = await run('--onnx', '--model', model, '--out', out, ...data);
  assert.equal(human.code, 0, human.stderr);
  assert.match(human.stdout, /^onnx\/model\.onnx +[\d.]+ kB$/m);
  assert.match(human.stdout, /^parity: 256 sentences, same labels, logits within \S+ \(allowed 0\.0001\)$/m);
  assert.match(human.stdout, /^sst2: accuracy \d+\.\d % \(300 examples\)$/m);
  assert.match(human.stdout, /^next: kdx predict --model /m);

  const json = await run('--onnx', '--model', model, '--out', other, ...node, '--json', '--quantize', 'none');
  assert.equal(json.code, 0, json.stderr);
  const result = JSON.parse(json.stdout) as ExportResult;
  assert.equal(result.out, other);
  assert.equal(result.parity.agreement, 1);
  assert.deepEqual((await readdir(other)).sort(), [...new Set(result.files.map(({ path }) => path.split('/')[0]))]);
});

test('mistakes end with exit code 2, and nothing is written', async (t) => {
  const dir = await temporaryFolder(t);
  const [model, out] = [join(dir, 'model'), join(dir, 'out')];
  await writeTinyClassifier(model);
  await writeFile(join(dir, 'notes.txt'), '');
  const cases: readonly [words: readonly string[], code: string, message: RegExp][] = [
    [['--model', model], 'invalid-usage', /missing required flag --out/],
    [['--model', model, '--out', out, '--quantize', 'int3'], 'invalid-usage', /--quantize=int3 to be one of: none/],
    [['--model', model, '--out', out, '--tolerance', 'much'], 'invalid-usage', /expected a number, found 'much'/],
    [['--model', model, '--out', out, '--data', reviewsFolder], 'invalid-usage', /--data needs --task/],
    [['--model', model, '--out', dir], 'output-exists', /is not empty and is no export of kdx \(model, notes\.txt\)/],
    [['--model', join(dir, 'none'), '--out', out], 'file-not-found', /does not exist/],
  ];
  for (const [words, code, message] of cases) {
    const { failure } = await runCommand(['export', ...words]);
    assert.equal(failure?.exitCode, 2, code);
    assert.equal(failure.code, code);
    assert.match(failure.message, message);
  }
  assert.deepEqual((await readdir(dir)).sort(), ['model', 'notes.txt']);
});

/** The generated task and tokenizer: up to date, and what they promise. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder, generatedFiles } from '../../fixtures/tasks/generate.ts';
import { loadTaskData, loadTokenizer } from '../../src/data/index.ts';

test('generating fixtures/tasks again gives the same bytes', async () => {
  for (const [name, content] of Object.entries(generatedFiles()))
    assert.equal(
      await readFile(join(folder, name), 'utf8'),
      content,
      `${name} is stale: run fixtures/tasks/generate.ts`,
    );
});

test('the reviews load as SST-2; both labels are about equally frequent; no text is in both sets', async () => {
  const { train, dev, warnings } = await loadTaskData({ task: 'sst2', dir: join(folder, 'reviews') });
  assert.deepEqual([train.length, dev.length, warnings.length], [1600, 300, 0]);
  for (const examples of [train, dev]) {
    const share = examples.filter(({ label }) => label === 1).length / examples.length;
    assert.ok(share > 0.45 && share < 0.55, `${share} positive`);
  }
  const seen = new Set(train.map(({ text }) => text));
  assert.ok(dev.every(({ text }) => !seen.has(text)));
});

test('the tokenizer is small, knows every character of the reviews and splits some words', async () => {
  const tokenizer = await loadTokenizer(join(folder, 'tokenizer'));
  assert.ok(tokenizer.vocabSize < 600);
  assert.equal(new Set(tokenizer.tokens).size, tokenizer.vocabSize);
  const { train, dev } = await loadTaskData({ task: 'sst2', dir: join(folder, 'reviews') });
  const longest = [...train, ...dev].map(({ text }) => {
    const { ids } = tokenizer.encode(text, undefined, 512);
    assert.ok(!ids.includes(tokenizer.unkId), text);
    return ids.length;
  });
  assert.ok(Math.max(...longest) <= tokenizer.modelMaxLength!);
  const pieces = train
    .flatMap(({ text }) => tokenizer.encode(text, undefined, 64).ids)
    .map((id) => tokenizer.tokens[id]!);
  assert.ok(pieces.some((piece) => piece.startsWith('##')));
});

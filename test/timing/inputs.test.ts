/** What models are fed while they are measured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadTokenizer } from '../../src/data/index.ts';
import { numbersOf } from '../../src/graph/index.ts';
import { measurementInputs } from '../../src/timing/index.ts';
import { tokenizerFolder } from '../support/tiny-classifier.ts';

const texts = ['the sound is clever', 'sloppy , useless', 'a fine battery .'];

test('every position holds a token of real text, for any length', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder);
  for (const [batch, length] of [
    [1, 3],
    [2, 64],
    [3, 200],
  ] as const) {
    const inputs = measurementInputs(tokenizer, { texts, batch, length, seed: 1 });
    assert.ok(inputs.length > 1);
    for (const { input_ids, attention_mask, token_type_ids } of inputs) {
      assert.deepEqual(input_ids.dims, [batch, length]);
      assert.ok(numbersOf(attention_mask).every((value) => value === 1));
      assert.ok(numbersOf(token_type_ids).every((value) => value === 0));
      const ids = numbersOf(input_ids);
      assert.ok(!ids.includes(tokenizer.padId));
      for (let row = 0; row < batch; row++) {
        assert.equal(ids[row * length], tokenizer.clsId);
        assert.equal(ids.indexOf(tokenizer.sepId, row * length), (row + 1) * length - 1);
      }
    }
  }
});

test('the seed decides, and the inputs differ', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder);
  const ids = (seed: number) =>
    measurementInputs(tokenizer, { texts, batch: 1, length: 12, seed }).map(({ input_ids }) =>
      numbersOf(input_ids).join(),
    );
  assert.deepEqual(ids(1), ids(1));
  assert.notDeepEqual(ids(1), ids(2));
  assert.ok(new Set(ids(1)).size > 1);
});

test('text that leaves no tokens does not hang', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder);
  const vanishing = Array.from({ length: 40 }, () => '\u200b').join(' ');
  assert.deepEqual(tokenizer.encode(vanishing, undefined, 40).ids, [tokenizer.clsId, tokenizer.sepId]);
  const [first] = measurementInputs(tokenizer, { texts: [vanishing], batch: 1, length: 30, seed: 1 });
  assert.ok(numbersOf(first!.attention_mask).every((value) => value === 1));
});

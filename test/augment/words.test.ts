/** Words of a text before they become pieces. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadTokenizer, wordTokenizer, type Tokenizer } from '../../src/data/index.ts';
import { tokenizerFolder } from '../support/tiny-classifier.ts';

const cased = fileURLToPath(new URL('../../fixtures/golden/tokenizer/cased', import.meta.url));

describe('wordTokenizer', () => {
  const rows: readonly [folder: string, text: string, words: readonly string[]][] = [
    [tokenizerFolder, '  Not the SAME again.\t', ['not', 'the', 'same', 'again', '.']],
    [tokenizerFolder, "Don't caf\u00e9-bar\u0000\n", ['don', "'", 't', 'cafe', '-', 'bar']],
    [tokenizerFolder, '\u4e2d\u6587ok', ['\u4e2d', '\u6587', 'ok']],
    [tokenizerFolder, '[MASK] it', ['[', 'mask', ']', 'it']],
    [tokenizerFolder, ' ', []],
    [cased, 'Paris, Caf\u00e9', ['Paris', ',', 'Caf\u00e9']],
  ];
  for (const [folder, text, words] of rows)
    it(JSON.stringify(text), async () =>
      assert.deepEqual(wordTokenizer(await loadTokenizer(folder)).words(text), words),
    );

  it('the pieces of the words are those of the text', async () => {
    const tokenizer = await loadTokenizer(tokenizerFolder);
    const { words, pieces } = wordTokenizer(tokenizer);
    const text = 'The unimpressive zipper, truly a pre-owned \u4e2d thing!';
    assert.deepEqual(
      words(text).flatMap((word) => pieces(word)),
      tokenizer.encode(text, undefined, 100).ids.slice(1, -1),
    );
    assert.equal(pieces('zipper').length, 1);
    assert.ok(pieces('unimpressive').length > 1);
  });

  it('refuses a tokenizer that is not WordPiece', async () => {
    const tokenizer = await loadTokenizer(tokenizerFolder);
    const json = JSON.parse(tokenizer.files['tokenizer.json']!) as { pre_tokenizer: unknown };
    const other: Tokenizer = {
      ...tokenizer,
      files: { ...tokenizer.files, 'tokenizer.json': JSON.stringify({ ...json, pre_tokenizer: null }) },
    };
    assert.throws(() => wordTokenizer(other), { code: 'unsupported-tokenizer' });
  });
});

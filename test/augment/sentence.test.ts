/** Which words of a text may be replaced. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { KdxError } from '../../src/errors/index.ts';
import { sentenceReader, type Eligibility } from '../../plugins/distill/src/augment/sentence.ts';
import { englishStopWords, readStopWords } from '../../plugins/distill/src/augment/stop-words.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';

const spaced = { words: (text: string) => text.split(' ') };

describe('eligible words', () => {
  const rows: readonly [rule: Eligibility, text: string, expected: string][] = [
    ['letters', 'the film was superb , truly', 'film superb truly'],
    ['letters', 'The Film IS Superb', 'Film Superb'],
    ['letters', 'in 1999 3d movies cost $ 5', 'movies cost'],
    ['letters', 'caf\u00e9 \u4e2d \u03bb plain', 'plain'],
    ['letters', 'who knows what why where when how which whom', 'who knows what why where when how which whom'],
    ['letters', "don ' t stop", 'stop'],
    ['words', 'le caf\u00e9 \u4e2d the 3d 5 .', 'le caf\u00e9 \u4e2d'],
    ['words', 'cafe\u0301 x-ray', 'cafe\u0301'],
    ['all', 'the 3d film , of 5 $ - caf\u00e9', 'the 3d film of 5 caf\u00e9'],
  ];
  for (const [rule, text, expected] of rows)
    it(`${rule}: ${text}`, () => {
      const { words, eligible } = sentenceReader(spaced, rule, englishStopWords)(text);
      assert.deepEqual(words, text.split(' '));
      assert.deepEqual(
        eligible.map((i) => words[i]),
        expected.split(' '),
      );
    });

  it('a text may have none', () => {
    assert.deepEqual(sentenceReader(spaced, 'letters', englishStopWords)('it is , of course not 1').eligible, [4]);
    assert.deepEqual(sentenceReader(spaced, 'letters', englishStopWords)('it is not 1 !').eligible, []);
  });
});

describe('stop words', () => {
  it('are lower-case words of letters, without the wh-words, which are replaced', () => {
    assert.ok(englishStopWords.size > 120);
    for (const word of englishStopWords) assert.match(word, /^[a-z]+$/);
    for (const word of ['what', 'which', 'who', 'whom', 'when', 'where', 'why', 'how'])
      assert.ok(!englishStopWords.has(word), word);
    for (const word of ['the', 'not', 'they', 'would', 'between', 'don', 's'])
      assert.ok(englishStopWords.has(word), word);
  });

  it('of a file: one per line, comments and case ignored', async (t) => {
    const path = join(await temporaryFolder(t), 'stop.txt');
    await writeFile(path, '\ufeff# mine\r\nFilm\r\n\n  caf\u00e9  \n');
    assert.deepEqual([...(await readStopWords(path))], ['film', 'caf\u00e9']);
  });

  it('of a file: a line of two words is a mistake', async (t) => {
    const path = join(await temporaryFolder(t), 'stop.txt');
    await writeFile(path, 'film\nof the\n');
    await assert.rejects(readStopWords(path), (error) => {
      assert.ok(error instanceof KdxError);
      assert.equal(error.code, 'invalid-stop-words');
      assert.match(error.message, /stop\.txt:2: "of the"/);
      return true;
    });
    await assert.rejects(readStopWords(`${path}x`), { code: 'file-not-found' });
  });
});

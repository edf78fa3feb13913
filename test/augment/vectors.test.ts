/** Word vectors: reading them, and the nearest words. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { KdxError } from '../../src/errors/index.ts';
import { embeddingVectors } from '../../plugins/distill/src/augment/embedding-vectors.ts';
import { largest } from '../../plugins/distill/src/augment/largest.ts';
import { readVectorFile } from '../../plugins/distill/src/augment/vector-file.ts';
import { nearestWords, normalizeRows, type WordVectors } from '../../plugins/distill/src/augment/vectors.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';
import { tinyModel } from './tiny-masked-lm.ts';

const many = Array.from({ length: 30 }, (_, i) => `w${i} ${i + 1} 0 1`);

describe('readVectorFile', () => {
  const good: readonly [name: string, text: string, words: readonly string[], dimensions: number, limit?: number][] = [
    ['GloVe', 'the 1 0\nfilm 0 -2.5e-1\n', ['the', 'film'], 2],
    ['no line feed at the end', 'the 1 0\nfilm 0 1', ['the', 'film'], 2],
    [
      'CRLF, byte-order mark, spaces and empty lines at the end',
      '\ufeffthe 1 0 \r\nfilm 0 1 \r\n\r\n\n',
      ['the', 'film'],
      2,
    ],
    ['tabs', 'the\t1\t0\nfilm\t0\t1\n', ['the', 'film'], 2],
    ['counts of fastText in the first line', '2 3\nthe 1 0 0\nfilm 0 1 0\n', ['the', 'film'], 3],
    [
      'words that hold spaces',
      'the 1 0\n. . . 0 1\nat name@domain.com 3 4\n',
      ['the', '. . .', 'at name@domain.com'],
      2,
    ],
    ['the first word holds spaces', '. . 0 1\nthe 1 0\n', ['. .', 'the'], 2],
    ['numbers as words', '1999 1 0\n3 0 1\n', ['1999', '3'], 2],
    [
      'line separators and no-break spaces inside a word',
      'a\u2028b 1 0\nc\u00a0d\u0085 0 1\n',
      ['a\u2028b', 'c\u00a0d\u0085'],
      2,
    ],
    ['of equal words the first', 'the 1 0\nfilm 0 1\nthe 0 1\n', ['the', 'film'], 2],
    ['a row without a word is no word', ' 1 0\nfilm 0 1\n', ['film'], 2],
    ['more lines than are looked at first', many.join('\n'), many.map((_, i) => `w${i}`), 3],
    ['the limit counts rows, beyond the first lines', many.join('\n'), many.slice(0, 17).map((_, i) => `w${i}`), 3, 17],
    ['the limit counts rows, within the first lines', 'a 1 0\na 1 0\nb 1 0\nc 1 0\n', ['a', 'b'], 2, 3],
    ['what is behind the limit is not looked at', `${many.join('\n')}\nbroken\n`, many.map((_, i) => `w${i}`), 3, 30],
  ];
  for (const [name, text, words, dimensions, limit = 1000] of good)
    it(name, async (t) => {
      const path = join(await temporaryFolder(t), 'vectors.txt');
      await writeFile(path, text);
      const found = await readVectorFile(path, limit);
      assert.deepEqual(found.words, words);
      assert.equal(found.dimensions, dimensions);
      assert.equal(found.matrix.length, words.length * dimensions);
    });

  it('gives rows of length 1, and a hash of what was read', async (t) => {
    const path = join(await temporaryFolder(t), 'vectors.txt');
    await writeFile(path, 'a 3 4\nb 0 0\nc 0 -2\n');
    const found = await readVectorFile(path, 10);
    assert.deepEqual([...found.matrix], [...Float32Array.of(0.6, 0.8, 0, 0, 0, -1)]);
    await writeFile(path, 'a 3 4\nb 0 0\nd 0 -2\n');
    assert.notEqual((await readVectorFile(path, 10)).hash, found.hash);
    assert.notEqual((await readVectorFile(path, 2)).hash, found.hash);
  });

  const bad: readonly [name: string, content: string | Buffer, code: string, says: RegExp][] = [
    [
      'too few numbers',
      `${many.join('\n')}\nfilm 0 1\n`,
      'invalid-vectors',
      /v\.txt:31: 3 numbers expected .* found 2/,
    ],
    ['no number', 'the 1 0\nfilm 0 one\n', 'invalid-vectors', /v\.txt:2: "one" is not a number/],
    ['not finite', 'the 1 0\nfilm 0 inf\n', 'invalid-vectors', /v\.txt:2: "inf"/],
    ['two spaces', 'the 1 0\nfilm 0 1\nx 0  \t 1\n', 'invalid-vectors', /v\.txt:3: "" is not a number/],
    ['an empty line inside', 'the 1 0\n\nfilm 0 1\n', 'invalid-vectors', /v\.txt:2: the line is empty/],
    ['an empty file', '', 'invalid-vectors', /v\.txt:1: the file is empty/],
    ['empty lines alone', '\n\n', 'invalid-vectors', /v\.txt:1/],
    ['words alone', 'the\nfilm\n', 'invalid-vectors', /v\.txt:1: a word and its numbers/],
    ['counts alone', '2 3\n', 'invalid-vectors', /no vector/],
    ['a packed file', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 10]), 'not-a-text-file', /zero byte/],
    ['no line feed for a megabyte', Buffer.alloc(2 ** 21, 0x61), 'not-a-text-file', /line of more/],
  ];
  for (const [name, content, code, says] of bad)
    it(`refuses ${name}`, async (t) => {
      const path = join(await temporaryFolder(t), 'v.txt');
      await writeFile(path, content);
      await assert.rejects(readVectorFile(path, 1000), (error) => {
        assert.ok(error instanceof KdxError, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, says);
        assert.ok(error.suggestions.length > 0);
        return true;
      });
    });

  it('refuses what is no file', async (t) => {
    const dir = await temporaryFolder(t);
    await mkdir(join(dir, 'folder'));
    await assert.rejects(readVectorFile(join(dir, 'folder'), 10), { code: 'not-a-file' });
    await assert.rejects(readVectorFile(join(dir, 'none'), 10), { code: 'file-not-found' });
  });
});

describe('largest', () => {
  it('is the head of the sorted list', () => {
    const random = seeded(5);
    for (const count of [1, 3, 15, 40, 60]) {
      // Few different values, so that there are ties.
      const values = Array.from({ length: 50 }, () => random.integer(20));
      const sorted = [...values.keys()].sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
      assert.deepEqual(largest(values, count), sorted.slice(0, count));
    }
    assert.deepEqual(largest([NaN, 1, -Infinity, NaN, 2], 5), [4, 1]);
  });
});

function vectorsOf(rows: Readonly<Record<string, readonly number[]>>): WordVectors {
  const words = Object.keys(rows);
  const matrix = Float32Array.from(Object.values(rows).flat());
  const dimensions = matrix.length / words.length;
  normalizeRows(matrix, dimensions);
  return { words, matrix, dimensions };
}

describe('nearestWords', () => {
  const vectors = vectorsOf({
    good: [1, 0.1],
    great: [20, 1],
    fine: [1, 0.5],
    bad: [-1, 0],
    none: [0, 0],
    paris: [0, 1],
    london: [0.1, 1],
    Paris: [0.05, 1],
    Rome: [-0.1, 1],
  });
  const rows: readonly [word: string, count: number, expected: readonly string[]][] = [
    ['good', 2, ['great', 'fine']],
    ['good', 3, ['great', 'fine', 'london']],
    ['absent', 3, []],
    ['none', 3, []],
    ['paris', 2, ['Paris', 'london']],
    // Capitalized words get capitalized candidates, and never themselves.
    ['Paris', 3, ['London', 'Rome']],
    ['London', 2, ['Paris']],
    ['Good', 2, ['Great', 'Fine']],
    ['GOOD', 2, []],
  ];
  for (const [word, count, expected] of rows)
    it(`${word}, ${count}`, () => {
      const near = nearestWords(vectors, count);
      assert.deepEqual(near(word), expected);
      assert.deepEqual(near(word), expected, 'the second time');
    });
});

describe('embeddingVectors', () => {
  it('has the whole words of the vocabulary, each as its row of the embeddings', async (t) => {
    const { checkpoint, tokenizer } = await tinyModel(await temporaryFolder(t), false);
    const { words, matrix, dimensions } = embeddingVectors(checkpoint, tokenizer);
    assert.ok(words.includes('annoying') && words.includes('the') && words.includes('a'));
    for (const absent of ['##ing', '[MASK]', '[PAD]', '.', ',']) {
      assert.notEqual(tokenizer.idOf(absent), undefined, absent);
      assert.ok(!words.includes(absent), absent);
    }
    const row = words.indexOf('annoying');
    const id = tokenizer.idOf('annoying') as number;
    const table = checkpoint.weights.get('bert.embeddings.word_embeddings.weight')!;
    const raw = table.data.slice(id * dimensions, (id + 1) * dimensions);
    normalizeRows(raw, dimensions);
    assert.deepEqual(matrix.slice(row * dimensions, (row + 1) * dimensions), raw);
    const near = nearestWords({ words, matrix, dimensions }, 5)('annoying');
    assert.equal(near.length, 5);
    assert.ok(!near.includes('annoying'));
  });
});

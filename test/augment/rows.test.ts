/** Variants of a sentence and rows of an example: word replacement and the four operations of EDA. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomStream } from '../../src/data/index.ts';
import { easyAugmentation } from '../../plugins/distill/src/augment/eda.ts';
import { replacement, type VariantMaker } from '../../plugins/distill/src/augment/replacement.ts';
import { rowsOf, type Side, type VariantPlan } from '../../plugins/distill/src/augment/rows.ts';

/** `film=movie|picture` is a word with candidates. */
function side(text: string): Side {
  const parts = text.split(' ').map((part) => part.split('='));
  const candidates = parts.map(([, options]) => options?.split('|') ?? []);
  const eligible = [...candidates.keys()].filter((i) => candidates[i]!.length > 0);
  return { sentence: { words: parts.map(([word]) => word as string), eligible }, candidates };
}

const draw = (make: VariantMaker, { sentence, candidates }: Side, number: number) =>
  make(sentence, candidates, randomStream(1, 'test', number), number);

const film = side('the film=movie|picture|film is good=fine|great , truly=really .');

describe('replacement', () => {
  it('with probability 0 changes nothing, with 1 takes a candidate of every word that has some', () => {
    for (let i = 0; i < 50; i++) {
      assert.deepEqual(draw(replacement(0), film, i), film.sentence.words);
      const words = draw(replacement(1), film, i);
      for (const [at, word] of words.entries()) {
        const options = film.candidates[at]!;
        assert.ok(options.length === 0 ? word === film.sentence.words[at] : options.includes(word), word);
      }
    }
  });

  it('replaces each word independently with the probability, by any candidate equally often', () => {
    const draws = 6000;
    const counts = new Map<string, number>();
    let both = 0;
    for (let i = 0; i < draws; i++) {
      const words = draw(replacement(0.4), film, i);
      counts.set(words[3]!, (counts.get(words[3]!) ?? 0) + 1);
      if (words[3] !== 'good' && words[5] === 'really') both++;
    }
    // Standard deviations of these shares are below 0.0065.
    const near = (count: number, share: number) => assert.ok(Math.abs(count / draws - share) < 0.03, `${count}`);
    near(counts.get('good')!, 0.6);
    near(counts.get('fine')!, 0.2);
    near(counts.get('great')!, 0.2);
    near(both, 0.16);
  });
});

describe('easy data augmentation', () => {
  const text = side('a=x good=fine|great film=movie , a=x really good=fine film=movie of=off time .');
  const sorted = (words: readonly string[]) => [...words].sort();
  const variants = (operation: number, alpha: number, given = text) =>
    Array.from({ length: 60 }, (_, i) => draw(easyAugmentation(alpha), given, 4 * i + operation));
  const words = text.sentence.words;

  it('synonym replacement changes n different words, each at all its places', () => {
    // 9 words: n = 2 for 0.25, and 1 at least.
    for (const [alpha, n] of [
      [0.25, 2],
      [0, 1],
      [0.05, 1],
    ] as const)
      for (const variant of variants(0, alpha)) {
        assert.equal(variant.length, words.length);
        const changed = words.filter((word, i) => variant[i] !== word);
        assert.equal(new Set(changed).size, n);
        for (const word of new Set(changed))
          assert.equal(changed.filter((other) => other === word).length, words.filter((w) => w === word).length);
      }
  });

  it('random insertion adds n synonyms', () => {
    for (const variant of variants(1, 0.34)) {
      assert.equal(variant.length, words.length + 3);
      const added = [...variant];
      for (const word of words) added.splice(added.indexOf(word), 1);
      for (const word of added) assert.ok(['x', 'fine', 'great', 'movie', 'off'].includes(word), word);
    }
  });

  it('random swap keeps the words, and punctuation in its place', () => {
    const all = variants(2, 0.1);
    for (const variant of all) {
      assert.deepEqual(sorted(variant), sorted(words));
      assert.equal(variant[3], ',');
      assert.equal(variant.at(-1), '.');
      const moved = words.filter((word, i) => variant[i] !== word);
      assert.ok(moved.length === 2 || moved.length === 0);
    }
    assert.ok(new Set(all.map((variant) => variant.join(' '))).size > 20);
  });

  it('random deletion leaves a word at least, and punctuation', () => {
    const all = variants(3, 0.5);
    assert.ok(new Set(all.map((variant) => variant.length)).size > 3);
    for (const variant of all)
      assert.deepEqual(
        variant.filter((word) => /\W/.test(word)),
        [',', '.'],
      );
    for (const variant of variants(3, 1)) assert.equal(variant.length, 3);
    for (const variant of variants(3, 0)) assert.deepEqual(variant, words);
  });

  it('a candidate that is the word itself is none', () => {
    for (const variant of variants(0, 1, side('film=film good=good|fine'))) assert.deepEqual(variant, ['film', 'fine']);
    for (const variant of variants(1, 1, side('film=film'))) assert.deepEqual(variant, ['film']);
  });

  it('works on a text of one word and of none', () => {
    for (const text of ['film=movie', 'film', '. !'])
      for (let i = 0; i < 20; i++) assert.ok(draw(easyAugmentation(0.5), side(text), i).length > 0);
  });
});

describe('rowsOf', () => {
  const plan: VariantPlan = { method: 'tinybert', make: replacement(0.4), variants: 20, seed: 42 };
  const example = { id: 7, text: 'The Film is GOOD,  truly.', label: 1 };

  it('begins with the original as written; variants are distinct words joined by spaces', () => {
    const [first, ...others] = rowsOf(example, [film], plan);
    assert.deepEqual(first, { text: example.text, label: 1, origin: 'original', source: 7 });
    assert.ok(others.length > 5 && others.length <= 20);
    const texts = others.map(({ text }) => text);
    assert.equal(new Set(texts).size, texts.length);
    assert.ok(!texts.includes(film.sentence.words.join(' ')), 'the words of the original are no variant');
    for (const row of others) {
      assert.match(row.text, /^the (film|movie|picture) is (good|fine|great) , (truly|really) \.$/);
      assert.deepEqual({ ...row, text: '' }, { text: '', label: 1, origin: 'tinybert', source: 7 });
    }
  });

  it('of a pair, each text is varied beside the other as written', () => {
    const pair = 'A FINE time';
    const rows = rowsOf({ ...example, pair }, [film, side('a fine=good|nice time=day|hour')], plan);
    assert.deepEqual(rows[0], { text: example.text, pair, label: 1, origin: 'original', source: 7 });
    const change = rows.findIndex((row, i) => i > 0 && row.pair !== pair);
    assert.ok(change > 1 && change <= 21);
    assert.ok(rows.length - change > 1 && rows.length <= 41);
    for (const row of rows.slice(1, change)) assert.match(row.text, /^the \w+ is \w+ , \w+ \.$/);
    for (const row of rows.slice(change)) {
      assert.equal(row.text, example.text);
      assert.match(row.pair as string, /^a (fine|good|nice) (time|day|hour)$/);
    }
    assert.deepEqual(
      rows.slice(0, change).map(({ text }) => text),
      rowsOf(example, [film], plan).map(({ text }) => text),
    );
  });

  it('depends on the seed, the example and the number of the draw alone', () => {
    const texts = (id: number, changes: Partial<VariantPlan> = {}) =>
      rowsOf({ ...example, id }, [film], { ...plan, ...changes }).map(({ text }) => text);
    assert.deepEqual(texts(7), texts(7));
    assert.notDeepEqual(texts(7), texts(8));
    assert.notDeepEqual(texts(7), texts(7, { seed: 43 }));
    const few = texts(7, { variants: 5 });
    assert.deepEqual(texts(7).slice(0, few.length), few);
  });

  it('an example without candidates has its original only', () => {
    for (const make of [replacement(1), easyAugmentation(0)])
      assert.equal(rowsOf(example, [side('it is .')], { ...plan, make, variants: 2 }).length, 1);
  });
});

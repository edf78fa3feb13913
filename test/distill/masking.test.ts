/** Masking: how many tokens, which, and what becomes of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  drawMasking,
  maskingCapacity,
  maskingSchema,
  tokenCounts,
  type MaskingBatch,
  type MaskingOptions,
  type MaskingVocabulary,
} from '../../plugins/distill/src/masking.ts';
import { randomStream } from '../../src/data/index.ts';
import { numbersOf, tensorOf } from '../../src/graph/index.ts';
import { seeded } from '../support/seeded.ts';

const [PAD, CLS, SEP, MASK, FIRST] = [0, 1, 2, 3, 10] as const;
const vocabulary: MaskingVocabulary = { size: 1000, maskId: MASK, specialIds: [PAD, CLS, SEP, MASK] };

const options = (changes: Partial<MaskingOptions> = {}): MaskingOptions => maskingSchema.parse(changes);

interface Options {
  readonly length?: number;
  readonly examples?: number;
  readonly seed?: number;
  readonly vocabulary?: MaskingVocabulary;
  /** Id of token i of a row, [CLS] and [SEP] apart. */
  readonly token?: (i: number) => number;
}

/** Rows of these lengths with [CLS], [SEP] and padding. */
function batchOf(lengths: readonly number[], given: Options = {}): MaskingBatch {
  const length = given.length ?? Math.max(...lengths);
  const random = seeded(7);
  const token = given.token ?? (() => FIRST + random.integer(900));
  const rows = lengths.map((tokens) =>
    Array.from({ length }, (_, i) => (i >= tokens ? PAD : i === 0 ? CLS : i === tokens - 1 ? SEP : token(i))),
  );
  const dims = [lengths.length, length];
  return {
    bucket: { rows: lengths.length, length },
    examples: given.examples ?? lengths.length,
    inputIds: tensorOf('int64', dims, rows.flat()),
    attentionMask: tensorOf(
      'int64',
      dims,
      lengths.flatMap((tokens) => Array.from({ length }, (_, i) => Number(i < tokens))),
    ),
    vocabulary: given.vocabulary ?? vocabulary,
    random: (name) => randomStream(given.seed ?? 1, name),
  };
}

/** The feeds as plain numbers, with the drawn ones apart. */
function draw(masking: MaskingOptions, batch: MaskingBatch) {
  const feeds = drawMasking(masking, batch);
  const [ids, positions, targets, weights] = [
    numbersOf(feeds.masked_ids),
    numbersOf(feeds.masked_positions),
    numbersOf(feeds.masked_targets),
    numbersOf(feeds.masked_weights),
  ];
  const count = weights.filter((weight) => weight === 1).length;
  return { feeds, ids, positions, targets, weights, count, drawn: positions.slice(0, count) };
}

describe('what is drawn', () => {
  const batch = batchOf([12, 20, 3, 24], { length: 24 });
  const before = numbersOf(batch.inputIds);
  for (const selection of ['uniform', 'rare'] as const)
    it(`${selection}: the ids change at the drawn positions only, whose targets are what was there`, () => {
      const counts = new Array<number>(1000).fill(5);
      const given = { ...batch, vocabulary: { ...vocabulary, counts } };
      const { ids, drawn, positions, targets, weights, count, feeds } = draw(
        options({ selection, keepShare: 0 }),
        given,
      );
      assert.deepEqual(feeds.masked_ids.dims, [4, 24]);
      assert.ok(count > 3);
      assert.deepEqual(new Set(drawn).size, count);
      assert.deepEqual(
        drawn,
        [...drawn].sort((a, b) => a - b),
      );
      assert.deepEqual(
        targets.slice(0, count),
        drawn.map((position) => before[position]!),
      );
      const changed = ids.flatMap((id, position) => (id === before[position] ? [] : [position]));
      assert.ok(changed.every((position) => drawn.includes(position)));
      // A random token may be the old one.
      assert.ok(changed.length >= count - 1);
      // Filler points somewhere valid and weighs nothing.
      assert.deepEqual(
        weights,
        weights.map((_, i) => Number(i < count)),
      );
      assert.ok([...positions.slice(count), ...targets.slice(count)].every((value) => value === 0));
    });

  it('leaves the batch as it was', () => assert.deepEqual(numbersOf(batch.inputIds), before));

  it('is never a special token or padding, whatever is asked for', () => {
    for (const selection of ['uniform', 'rare'] as const) {
      const all = { ...batch, vocabulary: { ...vocabulary, counts: new Array<number>(1000).fill(1) } };
      const { targets, count } = draw(options({ probability: 1, maxPerSequence: 1000, selection }), all);
      assert.equal(count, 12 + 20 + 3 + 24 - 4 * 2);
      assert.ok(targets.slice(0, count).every((target) => target >= FIRST));
    }
  });

  it('is nothing in filler rows', () => {
    const { drawn, ids } = draw(options({ probability: 0.5 }), { ...batch, examples: 2 });
    assert.ok(drawn.length > 0 && drawn.every((position) => position < 2 * 24));
    assert.deepEqual(ids.slice(48), before.slice(48));
  });

  it('is decided by the seed', () => {
    const at = (seed: number) => draw(options(), batchOf([24, 24, 24], { seed })).feeds;
    assert.deepEqual(at(1), at(1));
    assert.notDeepEqual(at(1), at(2));
  });

  it('is nothing at all where every token is special', () => {
    const { count, ids, feeds } = draw(options(), batchOf([2, 2], { length: 8 }));
    assert.equal(count, 0);
    assert.deepEqual(ids, [CLS, SEP, 0, 0, 0, 0, 0, 0, CLS, SEP, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(feeds.masked_weights.dims, [2]);
  });
});

describe('how many', () => {
  it('uniform: round(probability · length) of each sequence, special tokens in the length, at least one', () => {
    const lengths = [3, 10, 20, 64];
    const { drawn } = draw(options(), batchOf(lengths, { length: 64 }));
    const perRow = lengths.map((_, row) => drawn.filter((position) => Math.floor(position / 64) === row).length);
    assert.deepEqual(perRow, [1, 2, 3, 10]);
  });

  it('uniform: at most maxPerSequence', () => {
    assert.equal(draw(options({ probability: 0.5 }), batchOf([128])).count, 20);
    assert.equal(draw(options({ probability: 0.5, maxPerSequence: 64 }), batchOf([128])).count, 64);
  });

  it('rare: ceil(probability · tokens of the batch), padding and filler rows apart', () => {
    const counts = new Array<number>(1000).fill(1);
    const batch = batchOf([10, 11, 30], { length: 40, examples: 2, vocabulary: { ...vocabulary, counts } });
    assert.equal(draw(options({ selection: 'rare' }), batch).count, Math.ceil(0.15 * 21));
  });

  it('none with probability 0', () => {
    const batch = batchOf([10, 20]);
    const { count, ids, feeds } = draw(options({ probability: 0 }), batch);
    assert.equal(count, 0);
    assert.deepEqual(ids, numbersOf(batch.inputIds));
    assert.deepEqual(feeds.masked_positions.dims, [1]);
  });

  const capacities: readonly [Partial<MaskingOptions>, rows: number, length: number, capacity: number][] = [
    [{}, 32, 128, 32 * 19],
    [{}, 4, 24, 4 * 4],
    [{}, 2, 256, 2 * 20],
    [{ probability: 0.01 }, 4, 8, 4],
    [{ probability: 0 }, 4, 8, 1],
    [{ selection: 'rare' }, 32, 128, Math.ceil(0.15 * 32 * 128)],
    [{ selection: 'rare', probability: 0.01 }, 1, 8, 1],
    [{ selection: 'rare', probability: 0 }, 4, 8, 1],
  ];
  for (const [changes, rows, length, capacity] of capacities)
    it(`fits into ${capacity} for ${rows} rows of ${length} with ${JSON.stringify(changes)}`, () => {
      assert.equal(maskingCapacity(options(changes), { rows, length }), capacity);
      const counts = new Array<number>(1000).fill(1);
      const full = batchOf(new Array<number>(rows).fill(length), { vocabulary: { ...vocabulary, counts } });
      const { feeds, count } = draw(options(changes), full);
      for (const feed of [feeds.masked_positions, feeds.masked_targets, feeds.masked_weights])
        assert.deepEqual(feed.dims, [capacity]);
      // Full rows use it up, but for nothing.
      assert.equal(count, changes.probability === 0 ? 0 : capacity);
    });
});

describe('what becomes of them', () => {
  const batch = batchOf(new Array<number>(200).fill(102));
  const before = numbersOf(batch.inputIds);

  /** Shares of [MASK], of the old token and of others among 20,000 drawn tokens. */
  function shares(changes: Partial<MaskingOptions>): number[] {
    const { ids, drawn, count } = draw(options({ probability: 1, maxPerSequence: 1000, ...changes }), batch);
    assert.equal(count, 20_000);
    const isMask = drawn.filter((position) => ids[position] === MASK).length;
    const isOld = drawn.filter((position) => ids[position] === before[position]).length;
    return [isMask, isOld, count - isMask - isOld].map((n) => n / count);
  }

  const cases: readonly [Partial<MaskingOptions>, number[]][] = [
    [{}, [0.8, 0.1, 0.1]],
    [{ maskShare: 0.5, keepShare: 0.2 }, [0.5, 0.2, 0.3]],
    [{ maskShare: 1, keepShare: 0 }, [1, 0, 0]],
    [{ maskShare: 0, keepShare: 1 }, [0, 1, 0]],
  ];
  for (const [changes, expected] of cases)
    it(`${expected.join(', ')}`, () =>
      // Five standard deviations of a share of one half are 0.018.
      shares(changes).forEach((share, i) =>
        assert.ok(Math.abs(share - expected[i]!) < 0.018, `${share} of kind ${i}`),
      ));

  it('random tokens come from the whole vocabulary', () => {
    const { ids, drawn } = draw(options({ probability: 1, maxPerSequence: 1000, maskShare: 0, keepShare: 0 }), batch);
    const seen = new Set(drawn.map((position) => ids[position]!));
    assert.ok(Math.min(...seen) >= 0 && Math.max(...seen) === 999);
    assert.equal(seen.size, 1000);
  });
});

describe('rare tokens', () => {
  it('are preferred by count^-0.7, an unseen one counts as seen once', () => {
    // Half of the tokens occurred 100 times, half never.
    const [common, unseen] = [20, 30];
    const counts = new Array<number>(1000).fill(0);
    counts[common] = 100;
    const token = (i: number) => (i % 2 === 0 ? common : unseen);
    const drawn = { common: 0, unseen: 0 };
    for (let seed = 0; seed < 400; seed++) {
      const batch = batchOf([42, 42], { seed, token, vocabulary: { ...vocabulary, counts } });
      const { targets, count } = draw(options({ selection: 'rare', probability: 0.01 }), batch);
      assert.equal(count, 1);
      drawn[targets[0] === common ? 'common' : 'unseen']++;
    }
    // The first draw is a common one with probability 1 / (1 + 100^0.7) = 0.038: 15 of 400, standard deviation 3.8.
    assert.ok(drawn.common >= 1 && drawn.common <= 35, `${drawn.common} of 400`);
  });

  it('are drawn without replacement until only frequent ones are left', () => {
    const counts = new Array<number>(1000).fill(1_000_000);
    counts[30] = 1;
    const token = (i: number) => (i <= 4 ? 30 : 20);
    const batch = batchOf([42], { token, vocabulary: { ...vocabulary, counts } });
    const { targets, count } = draw(options({ selection: 'rare', probability: 0.2 }), batch);
    assert.equal(count, 9);
    assert.equal(targets.slice(0, count).filter((target) => target === 30).length, 4);
  });

  it('need counts', () =>
    assert.throws(() => drawMasking(options({ selection: 'rare' }), batchOf([10])), /internal: selection rare needs/));

  it('are counted over a data set', () =>
    assert.deepEqual([...tokenCounts({ ids: Int32Array.of(1, 3, 3, 0, 3) }, 5)], [1, 1, 0, 3, 0]));
});

describe('options', () => {
  it('have defaults', () =>
    assert.deepEqual(options(), {
      probability: 0.15,
      maskShare: 0.8,
      keepShare: 0.1,
      selection: 'uniform',
      maxPerSequence: 20,
    }));

  it('accept shares that fill up 1', () => {
    for (const maskShare of [0.9, 0.7, 0.3]) options({ maskShare, keepShare: 1 - maskShare });
  });

  it('refuse shares above 1 together', () => {
    const issue = maskingSchema.safeParse({ maskShare: 0.95 }).error!.issues[0]!;
    assert.deepEqual(issue.path, ['keepShare']);
    assert.match(issue.message, /^expected at most 1 - maskShare, found 0\.1 with a maskShare of 0\.95$/);
  });
});

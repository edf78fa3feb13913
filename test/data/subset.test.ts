/** Smaller training sets: they contain each other, keep the classes' shares, and depend on the seed alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stratifiedSubset, type Example } from '../../src/data/index.ts';

const classification = { kind: 'classification' } as const;

/** Examples whose labels are those given, in that order. */
function examplesOf(labels: readonly number[]): Example[] {
  return labels.map((label, id) => ({ id, text: `text ${id}`, label }));
}

/** 100 examples: 60, 30 and 10 of three classes, the rare one at the end. */
const three = examplesOf(Array.from({ length: 100 }, (_, i) => (i < 60 ? 0 : i < 90 ? 1 : 2)));

const ids = (examples: readonly Example[]) => examples.map(({ id }) => id);

describe('stratifiedSubset', () => {
  it('has each count contain the smaller ones, in the order of the file', () => {
    let smaller: readonly number[] = [];
    for (let count = 1; count <= 100; count++) {
      const chosen = ids(stratifiedSubset(three, classification, count, 4));
      assert.equal(chosen.length, count);
      assert.deepEqual(
        chosen,
        [...chosen].sort((a, b) => a - b),
      );
      assert.ok(
        smaller.every((id) => chosen.includes(id)),
        `${count}`,
      );
      smaller = chosen;
    }
  });

  it('has the share of each class at every count, to within one example', () => {
    for (const seed of [1, 2, 3])
      for (let count = 1; count <= 100; count++) {
        const chosen = stratifiedSubset(three, classification, count, seed);
        for (const [label, share] of [0.6, 0.3, 0.1].entries()) {
          const found = chosen.filter((example) => example.label === label).length;
          assert.ok(Math.abs(found - share * count) <= 1, `${found} of class ${label} among ${count}`);
        }
      }
  });

  it('is decided by the seed', () => {
    const chosen = (seed: number) => ids(stratifiedSubset(three, classification, 20, seed));
    assert.deepEqual(chosen(1), chosen(1));
    assert.notDeepEqual(chosen(1), chosen(2));
  });

  it('is the whole set, as it is, when that is not larger', () => {
    for (const count of [100, 101, Infinity]) assert.equal(stratifiedSubset(three, classification, count, 1), three);
  });

  it('keeps the ids of the file, even where some are left out', () => {
    const gaps = three.filter(({ id }) => id % 3 === 0);
    const chosen = stratifiedSubset(gaps, classification, 10, 1);
    assert.ok(chosen.every((example) => gaps.includes(example)));
  });

  it('of a regression is any part, nested as well', () => {
    const targets = examplesOf(Array.from({ length: 50 }, (_, i) => i / 10));
    const [small, large] = [10, 30].map((count) => stratifiedSubset(targets, { kind: 'regression' }, count, 1));
    assert.deepEqual([small!.length, large!.length], [10, 30]);
    assert.ok(small!.every((example) => large!.includes(example)));
    assert.notDeepEqual(ids(small!), ids(targets).slice(0, 10));
  });
});

/** Which layers are compared: every row of the papers' tables, and what cannot be mapped. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  layerMap,
  layerMapProblem,
  patienceMap,
  patienceMapProblem,
  type LayerMap,
  type LayerPair,
  type PatienceMap,
} from '../../plugins/distill/src/layer-map.ts';

describe('layers of Patient KD', () => {
  const cases: readonly [title: string, map: PatienceMap, student: number, teacher: number, pairs: LayerPair[]][] = [
    ['1 layer: nothing to compare', 'skip', 1, 12, []],
    ['1 layer: nothing to compare', 'last', 1, 12, []],
    ['2 layers', 'skip', 2, 12, [[1, 6]]],
    ['3 layers', 'skip', 3, 12, pairs([4, 8])],
    ['4 layers, or 2 twice', 'skip', 4, 12, pairs([3, 6, 9])],
    ['6 layers, or 3 twice', 'skip', 6, 12, pairs([2, 4, 6, 8, 10])],
    [
      '6 layers and 3 of them again',
      'skip',
      9,
      12,
      [
        [3, 4],
        [6, 8],
      ],
    ],
    ['as many layers', 'skip', 3, 3, pairs([1, 2])],
    ['3 of 6', 'skip', 3, 6, pairs([2, 4])],
    ['2 of 6', 'skip', 2, 6, pairs([3])],
    ['4 of 6', 'skip', 4, 6, [[2, 3]]],
    ['6 of 24', 'skip', 6, 24, pairs([4, 8, 12, 16, 20])],
    ['3 of 24', 'skip', 3, 24, pairs([8, 16])],
    [
      'a deeper student',
      'skip',
      6,
      3,
      [
        [2, 1],
        [4, 2],
      ],
    ],
    ['6 layers', 'last', 6, 12, pairs([7, 8, 9, 10, 11])],
    ['3 layers', 'last', 3, 12, pairs([10, 11])],
    ['3 of 6', 'last', 3, 6, pairs([4, 5])],
    ['as many layers', 'last', 6, 6, pairs([1, 2, 3, 4, 5])],
    [
      'given',
      [
        [1, 12],
        [2, 1],
      ],
      2,
      12,
      [
        [1, 12],
        [2, 1],
      ],
    ],
  ];
  for (const [title, map, student, teacher, expected] of cases)
    it(`${typeof map === 'string' ? map : 'pairs'}, ${title} (${student} of ${teacher})`, () => {
      assert.equal(patienceMapProblem(map, student, teacher), undefined);
      assert.deepEqual(patienceMap(map, student, teacher), expected);
    });

  const impossible: readonly [map: PatienceMap, student: number, teacher: number, problem: RegExp][] = [
    ['skip', 5, 12, /^map=skip pairs no layers .* of 5 .* of 12 layers: .* \[\[1,3\],\[2,5\],\[3,8\],\[4,10\]\]$/],
    ['last', 6, 4, /^map=last .* such as \[\[1,1\],\[2,2\],\[3,2\],\[4,3\],\[5,4\]\]$/],
    // Counted from 0 as in the published code.
    [[[0, 1]], 3, 12, /^map pairs layers \[0, 1\], counted from 1, of a student of 3 and a teacher of 12 layers$/],
    [
      [
        [1, 1],
        [1, 13],
      ],
      3,
      12,
      /layers \[1, 13\]/,
    ],
    [[[4, 1]], 3, 12, /layers \[4, 1\]/],
  ];
  for (const [map, student, teacher, problem] of impossible)
    it(`${JSON.stringify(map)} is impossible for ${student} of ${teacher}`, () => {
      assert.match(patienceMapProblem(map, student, teacher) ?? '', problem);
      assert.throws(() => patienceMap(map, student, teacher), /internal: map/);
    });
});

describe('layers of TinyBERT', () => {
  const cases: readonly [map: LayerMap, student: number, teacher: number, layers: number[]][] = [
    ['uniform', 4, 12, [3, 6, 9, 12]],
    ['uniform', 6, 12, [2, 4, 6, 8, 10, 12]],
    ['uniform', 3, 6, [2, 4, 6]],
    ['uniform', 6, 6, [1, 2, 3, 4, 5, 6]],
    ['uniform', 1, 12, [12]],
    ['top', 4, 12, [9, 10, 11, 12]],
    ['top', 4, 6, [3, 4, 5, 6]],
    ['bottom', 4, 12, [1, 2, 3, 4]],
    ['bottom', 4, 6, [1, 2, 3, 4]],
    [[6, 6, 1], 3, 6, [6, 6, 1]],
  ];
  for (const [map, student, teacher, expected] of cases)
    it(`${JSON.stringify(map)}, ${student} of ${teacher}`, () => {
      assert.equal(layerMapProblem(map, student, teacher), undefined);
      assert.deepEqual(layerMap(map, student, teacher), expected);
    });

  const impossible: readonly [map: LayerMap, student: number, teacher: number, problem: RegExp][] = [
    ['uniform', 4, 6, /^map=uniform needs a multiple .* here 4, .* found 6: .* such as \[2,3,5,6\]$/],
    ['uniform', 12, 3, /such as \[1,1,1,1,2,2,2,2,3,3,3,3\]$/],
    ['top', 6, 4, /^map=top needs at least .* here 6, .* found 4: .* such as \[1,2,2,3,4,4\]$/],
    ['bottom', 6, 4, /^map=bottom needs at least/],
    [[1, 2], 3, 6, /each of the student's 3 layers, found 2$/],
    [[1, 2, 7], 3, 6, /^map names layer 7, the teacher has 1 to 6$/],
    [[0, 2, 4], 3, 6, /^map names layer 0/],
    ['uniform', 2, 0, /the student has 2, the teacher 0$/],
    ['bottom', 0, 2, /the student has 0, the teacher 2$/],
  ];
  for (const [map, student, teacher, problem] of impossible)
    it(`${JSON.stringify(map)} is impossible for ${student} of ${teacher}`, () => {
      assert.match(layerMapProblem(map, student, teacher) ?? '', problem);
      assert.throws(() => layerMap(map, student, teacher), /internal: /);
    });

  it('what is proposed in place of an impossible map can be used', () => {
    for (let student = 1; student <= 13; student++)
      for (let teacher = 1; teacher <= 13; teacher++) {
        const proposed = /\[.*\]$/.exec(layerMapProblem('uniform', student, teacher) ?? '')?.[0];
        if (proposed) assert.equal(layerMapProblem(JSON.parse(proposed) as number[], student, teacher), undefined);
        const pairs = /\[\[.*\]\]$/.exec(patienceMapProblem('skip', student, teacher) ?? '')?.[0];
        if (pairs) assert.equal(patienceMapProblem(JSON.parse(pairs) as LayerPair[], student, teacher), undefined);
      }
  });
});

/** Student layers 1, 2, ... with these of the teacher. */
function pairs(teacher: number[]): LayerPair[] {
  return teacher.map((layer, i) => [i + 1, layer]);
}

/** The lists on the command line of kdx compare. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fractionsOf, methodsOf } from '../../plugins/distill/src/compare/lists.ts';
import { KdxError } from '../../src/errors/index.ts';

function refused(work: () => unknown, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof KdxError && error.code === 'invalid-usage');
    assert.match(error.message, message);
    return true;
  });
}

describe('--methods', () => {
  const finetune = { name: 'finetune' };
  const cases: Readonly<Record<string, ReturnType<typeof methodsOf>>> = {
    kd: [finetune, { name: 'kd' }],
    'kd, mixkd ,pea-kd': [finetune, { name: 'kd' }, { name: 'mixkd' }, { name: 'pea-kd' }],
    'kd,finetune': [finetune, { name: 'kd' }],
    finetune: [finetune],
    'mine=a=b.json,my_own-1.0+x=../c.json': [
      finetune,
      { name: 'mine', file: 'a=b.json' },
      { name: 'my_own-1.0+x', file: '../c.json' },
    ],
  };
  for (const [text, expected] of Object.entries(cases)) it(text, () => assert.deepEqual(methodsOf(text), expected));

  const mistakes: Readonly<Record<string, RegExp>> = {
    'kd,kd': /kd twice/,
    'kd,kd=my.json': /kd twice/,
    'kd,,mixkd': /an empty place/,
    '': /an empty place/,
    '../my.json': /'\.\.\/my\.json' is neither/,
    '=my.json': /neither/,
    'mine=': /'mine=' is neither/,
    'finetune=my.json': /finetune is what the others are compared with/,
  };
  for (const [text, message] of Object.entries(mistakes))
    it(`not '${text}'`, () => refused(() => methodsOf(text), message));
});

describe('--fractions', () => {
  const cases: Readonly<Record<string, readonly number[]>> = {
    '100%': [1],
    '1%, 10%,100%': [0.01, 0.1, 1],
    '0.01,0.1,1': [0.01, 0.1, 1],
    '10%,0.1': [0.1],
    // 0.7 / 100 is not 0.007 in binary.
    '0.7%,0.007': [0.007],
    '33.3333333%': [0.333333],
  };
  for (const [text, expected] of Object.entries(cases)) it(text, () => assert.deepEqual(fractionsOf(text), expected));

  for (const text of ['0', '0%', '101%', '2', '-1%', 'all', '%', 'NaN'])
    it(`not '${text}'`, () => refused(() => fractionsOf(text), /is not a part of the data/));
  it('no empty place', () => refused(() => fractionsOf('1%,'), /an empty place/));
});

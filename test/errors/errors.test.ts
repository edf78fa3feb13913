/** Errors for people, and the words they probably meant. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { internal, KdxError, nearest } from '../../src/errors/index.ts';

describe('KdxError', () => {
  it('is a mistake of the user unless it says otherwise', () => {
    const error = new KdxError('some-code', 'what is wrong');
    assert.deepEqual(
      [error.name, error.code, error.message, error.exitCode, error.suggestions, 'cause' in error],
      ['KdxError', 'some-code', 'what is wrong', 2, [], false],
    );
  });

  it('keeps what it is given', () => {
    const cause = new Error('first');
    const error = new KdxError('c', 'm', { exitCode: 1, suggestions: ['do this'], cause });
    assert.deepEqual([error.exitCode, error.suggestions, error.cause], [1, ['do this'], cause]);
  });

  it('is not what internal makes', () => {
    const error = internal('impossible');
    assert.equal(error.message, 'internal: impossible');
    assert.ok(!(error instanceof KdxError));
  });
});

describe('nearest', () => {
  const words = ['accuracy', 'temperature', 'train.lr', 'kd', 'pkd'];
  const cases: readonly [string, string | undefined][] = [
    ['temperture', 'temperature'],
    ['Accuracy', 'accuracy'],
    ['train.rl', 'train.lr'],
    ['pkb', 'pkd'],
    ['kd', 'kd'],
    ['zzzzzzzz', undefined],
    // Every letter of a short word replaced is no resemblance.
    ['xy', undefined],
    ['', undefined],
  ];
  for (const [word, expected] of cases)
    it(`of ${JSON.stringify(word)}`, () => assert.equal(nearest(word, words), expected));

  it('the first of equally near words', () => assert.equal(nearest('cat', ['bat', 'rat']), 'bat'));
  it('of no words', () => assert.equal(nearest('word', []), undefined));
});

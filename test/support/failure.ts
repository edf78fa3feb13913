/** What the error of a user's mistake looks like. */
import assert from 'node:assert/strict';
import { KdxError } from '../../src/errors/index.ts';

/** For `assert.rejects`. */
export function failure(code: string, message: RegExp, exitCode = 2): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KdxError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.equal(error.exitCode, exitCode);
    return true;
  };
}

export function rejects(work: Promise<unknown>, code: string, message: RegExp, exitCode = 2): Promise<void> {
  return assert.rejects(work, failure(code, message, exitCode));
}

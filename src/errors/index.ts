/** Errors a user can act on. Everything else that is thrown is a bug of kdx. */
export { nearest } from './nearest.ts';

export interface KdxErrorOptions {
  /** What to type or do instead, one line each. */
  readonly suggestions?: readonly string[];
  /** 2 = the user's mistake (default), 1 = a fault of the environment or of kdx, 3 = a regression found by a gate. */
  readonly exitCode?: 1 | 2 | 3;
  readonly cause?: unknown;
}

/** A failure with a stable code (`KDX_...` is not used: codes are kebab-case nouns such as `missing-tensor`). */
export class KdxError extends Error {
  override readonly name = 'KdxError';
  readonly code: string;
  readonly suggestions: readonly string[];
  readonly exitCode: 1 | 2 | 3;

  constructor(code: string, message: string, options: KdxErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.suggestions = options.suggestions ?? [];
    this.exitCode = options.exitCode ?? 2;
  }
}

/** A broken invariant of kdx itself: reported as our fault, never as the user's. */
export function internal(message: string): Error {
  return new Error(`internal: ${message}`);
}

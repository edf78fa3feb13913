/** A failure as it is shown: on stderr for people, as one JSON object on stdout with --json. */
import { KdxError } from '../errors/index.ts';
import { interruptedExitCode } from './interrupt.ts';

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly suggestions: readonly string[];
  readonly exitCode: number;
}

export const interruption: Failure = {
  code: 'interrupted',
  message: 'stopped as asked',
  suggestions: [],
  exitCode: interruptedExitCode,
};

/** A KdxError speaks for itself; anything else is our fault. */
export function failureOf(error: unknown): Failure {
  if (error instanceof KdxError) {
    const { code, message, suggestions, exitCode } = error;
    return { code, message, suggestions, exitCode };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: 'internal',
    message,
    suggestions: ['KDX_DEBUG=1 before the same command shows where it happened; please report it with that'],
    exitCode: 1,
  };
}

/** For stderr. The stack is added when KDX_DEBUG or DEBUG is set. */
export function renderFailure(failure: Failure, error: unknown): string {
  const lines = [`Error [${failure.code}]: ${failure.message}`];
  if (failure.code === 'internal') lines.push('This is a bug in kdx.');
  const [first, ...others] = failure.suggestions;
  if (first !== undefined) lines.push(`Try: ${first}`, ...others.map((suggestion) => `     ${suggestion}`));
  if (debugging() && error instanceof Error) lines.push(stackOf(error));
  return lines.join('\n');
}

/** For stdout with --json. */
export function failureJson({ code, message, suggestions }: Failure): object {
  return { error: { code, message, suggestions } };
}

function debugging(): boolean {
  return Boolean(process.env.KDX_DEBUG ?? process.env.DEBUG);
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return (error.stack ?? error.message) + cause;
}

/** What is wrong in data files, collected so that a person sees up to ten at once. */
import { KdxError } from '../errors/index.ts';

export interface Problem {
  readonly code: string;
  /** `file:line`, or the file alone. */
  readonly where: string;
  readonly message: string;
  /** What to type instead, where that is known. */
  readonly suggestion?: string;
}

const shown = 10;

export function printProblem(problem: Problem): string {
  return `${problem.where}: ${problem.message}`;
}

/** Throws one KdxError with the code of the first problem and the text of the first ten; returns when there is none. */
export function throwProblems(problems: readonly Problem[]): void {
  const first = problems[0];
  if (first === undefined) return;
  const lines = problems.slice(0, shown).map(printProblem);
  if (problems.length > shown) lines.push(`... and ${problems.length - shown} more`);
  const suggestions = new Set(problems.flatMap(({ suggestion }) => suggestion ?? []));
  throw new KdxError(first.code, lines.join('\n'), { suggestions: [...suggestions] });
}

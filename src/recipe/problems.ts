/** What a schema finds wrong, in lines that say where, what was expected and what was found. */
import { z } from 'zod';
import { nearest } from '../errors/index.ts';

type Issue = z.core.$ZodIssue;

export function describeIssues(issues: readonly Issue[], schema: z.ZodType): string[] {
  const known = knownPaths(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
  return issues.flatMap((issue) => describe(issue, known));
}

function describe(issue: Issue, known: readonly string[]): string[] {
  const path = issue.path.map(String).join('.');
  const found = `found ${show(issue.input)}`;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(path ? `${path}.${key}` : key, known));
    case 'invalid_type':
      return [issue.input === undefined ? `${path}: missing` : `${path}: expected ${issue.expected}, ${found}`];
    case 'invalid_value':
      return [`${path}: expected ${issue.values.map(show).join(' or ')}, ${found}`];
    case 'too_small':
      return [
        `${path}: expected ${limit(issue.origin, issue.inclusive ? 'at least' : 'more than', issue.minimum)}, ${found}`,
      ];
    case 'too_big':
      return [
        `${path}: expected ${limit(issue.origin, issue.inclusive ? 'at most' : 'less than', issue.maximum)}, ${found}`,
      ];
    default:
      return [`${path}: ${issue.message}`];
  }
}

/** The same key elsewhere in the recipe (`lr` for `train.lr`) is meant before one that is spelt nearly so. */
function unknownKey(path: string, known: readonly string[]): string {
  const key = path.slice(path.lastIndexOf('.') + 1);
  const meant = known.find((other) => other.endsWith(`.${key}`)) ?? nearest(path, known) ?? nearestKey(key, known);
  return `${path}: unknown key${meant ? `, did you mean ${meant}?` : ''}`;
}

function nearestKey(key: string, known: readonly string[]): string | undefined {
  const byKey = new Map(known.map((path) => [path.slice(path.lastIndexOf('.') + 1), path]));
  const meant = nearest(key, byKey.keys());
  return meant && byKey.get(meant);
}

function limit(origin: string, comparison: string, bound: number | bigint): string {
  return origin === 'array' ? `a list of ${comparison} ${bound}` : `${comparison} ${bound}`;
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** Dotted paths of all keys of a schema, objects included. */
function knownPaths(schema: unknown, prefix = ''): string[] {
  const properties = (schema as { properties?: Record<string, unknown> }).properties ?? {};
  return Object.entries(properties).flatMap(([key, child]) => [prefix + key, ...knownPaths(child, `${prefix}${key}.`)]);
}

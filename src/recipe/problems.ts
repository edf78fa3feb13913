/** What a schema finds wrong, in lines that say where, what was expected and what was found. */
import { z } from 'zod';
import { nearest } from '../errors/index.ts';

type Issue = z.core.$ZodIssue;

export function describeIssues(issues: readonly Issue[], schema: z.ZodType): string[] {
  const known = knownPaths(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode);
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
    case 'invalid_union':
      return [`${path}: ${unionProblem(issue)}`];
    default:
      return [`${path}: ${issue.message}`];
  }
}

/** Alternatives told apart by a key (`method`) are listed; others have a message of their own, if any. */
function unionProblem(issue: z.core.$ZodIssueInvalidUnion): string {
  const { discriminator, message, input } = issue;
  if (discriminator === undefined || !('options' in issue))
    return message === 'Invalid input' ? `${show(input)} is not allowed here` : `${message}, found ${show(input)}`;
  const known = (issue.options ?? []).map(String);
  const value = (input as Readonly<Record<string, unknown>>)[discriminator];
  const meant = typeof value === 'string' ? nearest(value, known) : undefined;
  return `expected one of ${known.join(', ')}, found ${show(value)}${meant ? `, did you mean ${meant}?` : ''}`;
}

/** The same key elsewhere in the recipe (`lr` for `train.lr`) is meant before one that is spelt nearly so. */
function unknownKey(path: string, known: readonly string[]): string {
  const key = keyOf(path);
  const owner = path.replace(/\.\d+(?=\.)/g, '.*').slice(0, -key.length);
  const siblings = known.filter((other) => other === owner + keyOf(other));
  const near = nearest(key, siblings.map(keyOf)) ?? nearest(key, known.map(keyOf));
  const meant = shortest(key, owner, known) ?? (near === undefined ? undefined : shortest(near, owner, known));
  return `${path}: unknown key${meant ? `, did you mean ${withPositions(meant, path)}?` : ''}`;
}

function keyOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** The shortest path to a key, below its owner where it is there. */
function shortest(key: string, owner: string, known: readonly string[]): string | undefined {
  const all = known.filter((path) => keyOf(path) === key).toSorted((a, b) => a.length - b.length);
  return all.find((path) => path.startsWith(owner)) ?? all[0];
}

/** The known path with the positions in lists that another path has, as far as both agree. */
function withPositions(known: string, path: string): string {
  const given = path.split('.');
  const parts = known.split('.');
  const differ = parts.findIndex((part, i) => part !== given[i] && part !== '*');
  return parts.map((part, i) => (part === '*' && i < differ ? (given[i] ?? part) : part)).join('.');
}

function limit(origin: string, comparison: string, bound: number | bigint): string {
  return origin === 'array' ? `a list of ${comparison} ${bound}` : `${comparison} ${bound}`;
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

/** Dotted paths of all keys of a schema, objects included; `*` stands for an element of a list. */
function knownPaths({ properties = {}, items, anyOf = [], oneOf = [] }: SchemaNode, prefix = ''): string[] {
  const inner = [
    ...(items ? knownPaths(items, `${prefix}*.`) : []),
    ...[...anyOf, ...oneOf].flatMap((node) => knownPaths(node, prefix)),
  ];
  const own = Object.entries(properties).flatMap(([key, child]) => [
    prefix + key,
    ...knownPaths(child, `${prefix}${key}.`),
  ]);
  return [...new Set([...own, ...inner])];
}

/** `key=value` on the command line, laid over a recipe. */
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** One override: a dotted path and its value. */
export interface Override {
  readonly path: readonly string[];
  readonly value: Json;
}

/** Reads `train.lr=1e-4`. Returns what is wrong as a string. */
export function parseOverride(text: string): Override | string {
  const at = text.indexOf('=');
  const path = text.slice(0, Math.max(0, at)).trim().split('.');
  if (at < 0 || path.some((key) => key === '')) return `'${text}' is not of the form key=value`;
  return { path, value: parseValue(text.slice(at + 1).trim()) };
}

/** JSON where it is JSON, a list of numbers where it is `0,2,4`, text otherwise. */
export function parseValue(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return /^-?[\d.]+(\s*,\s*-?[\d.]+)+$/.test(text) ? text.split(',').map(Number) : text;
  }
}

/**
 * A copy of `base` with the value at the path; objects on the way are made, other values on the way are replaced. An
 * element of a list is addressed by its number, or by its `name` or `method`. Returns what is wrong as a string.
 */
export function applyOverride(base: JsonObject, { path, value }: Override): JsonObject | string {
  const changed = changedAt(base, path, value);
  return typeof changed === 'string' ? `${path.join('.')}: ${changed}` : (changed as JsonObject);
}

function changedAt(base: JsonObject | readonly Json[], path: readonly string[], value: Json): Json {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const inner = (child: Json | undefined): Json =>
    rest.length === 0 ? value : changedAt(isJsonObject(child) || isList(child) ? child : {}, rest, value);
  if (!isList(base)) {
    const changed = inner(Object.hasOwn(base, key) ? base[key] : undefined);
    return typeof changed === 'string' && rest.length > 0 ? changed : { ...base, [key]: changed };
  }
  const at = elementOf(base, key);
  if (at === undefined) return `there is no ${key} among ${base.map(nameOf).join(', ')}`;
  const changed = inner(base[at]);
  return typeof changed === 'string' && rest.length > 0
    ? changed
    : base.map((child, i) => (i === at ? changed : child));
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function nameOf(element: Json, position: number): string {
  const { name, method } = isJsonObject(element) ? element : {};
  return String(name ?? method ?? position);
}

/** Position of the element of a list that a key means. */
function elementOf(list: readonly Json[], key: string): number | undefined {
  const named = list.findIndex((element, i) => nameOf(element, i) === key);
  const at = named >= 0 ? named : /^\d+$/.test(key) ? Number(key) : list.length;
  return at < list.length ? at : undefined;
}

/**
 * The later value wins; objects are merged key by key; undefined is as if absent. An object over a list changes the
 * elements that it names; what it cannot change is added to `problems`.
 */
export function merge(
  base: JsonObject,
  over: Readonly<Record<string, unknown>>,
  problems: string[] = [],
  path = '',
): JsonObject {
  let merged = base;
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const child = Object.hasOwn(merged, key) ? merged[key] : undefined;
    merged = { ...merged, [key]: mergedValue(child, value, problems, `${path}${key}`) };
  }
  return merged;
}

function mergedValue(base: Json | undefined, over: unknown, problems: string[], path: string): Json {
  if (!isJsonObject(over)) return over as Json;
  if (!isList(base)) return merge(isJsonObject(base) ? base : {}, over, problems, `${path}.`);
  const changed = [...base];
  for (const [key, value] of Object.entries(over)) {
    const at = elementOf(base, key);
    if (at === undefined) problems.push(`${path}: there is no ${key} among ${base.map(nameOf).join(', ')}`);
    else changed[at] = mergedValue(changed[at], value, problems, `${path}.${key}`);
  }
  return changed;
}

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

/** A copy of `base` with the value at the path; objects on the way are made, other values on the way are replaced. */
export function applyOverride(base: JsonObject, { path, value }: Override): JsonObject {
  const [key, ...rest] = path;
  if (key === undefined) return base;
  const child = Object.hasOwn(base, key) ? base[key] : undefined;
  const inner = rest.length === 0 ? value : applyOverride(isJsonObject(child) ? child : {}, { path: rest, value });
  return { ...base, [key]: inner };
}

/** The later value wins; objects are merged key by key; undefined is as if absent. */
export function merge(base: JsonObject, over: Readonly<Record<string, unknown>>): JsonObject {
  let merged = base;
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const child = Object.hasOwn(merged, key) ? merged[key] : undefined;
    const inner = isJsonObject(value) ? merge(isJsonObject(child) ? child : {}, value) : (value as Json);
    merged = { ...merged, [key]: inner };
  }
  return merged;
}

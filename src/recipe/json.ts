/** Plain JSON values, as recipes and run records are written. */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every leaf by its dotted path; an empty object or list counts as a leaf. */
export function leaves(value: Json, path = ''): Map<string, Json> {
  const entries = Array.isArray(value) ? [...value.entries()] : isJsonObject(value) ? Object.entries(value) : [];
  if (entries.length === 0) return new Map([[path, value]]);
  return new Map(entries.flatMap(([key, child]) => [...leaves(child as Json, path ? `${path}.${key}` : String(key))]));
}

/** One line per leaf that differs: `train.lr: 0.00005 before, 0.0001 now`. */
export function differences(before: Json, now: Json, label = ''): string[] {
  const [old, fresh] = [leaves(before, label), leaves(now, label)];
  return [...new Set([...old.keys(), ...fresh.keys()])].flatMap((path) => {
    const [a, b] = [show(old.get(path)), show(fresh.get(path))];
    return a === b ? [] : [`${path}: ${a} before, ${b} now`];
  });
}

function show(value: Json | undefined): string {
  return value === undefined ? 'not set' : JSON.stringify(value);
}

/** JSON from strangers: parse errors with a reason, and duplicate keys, which JSON.parse hides. */

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses, or throws what `failure` makes of the reason. A byte-order mark is allowed. */
export function parseJson(text: string, failure: (reason: string, cause: unknown) => Error): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw failure((error as SyntaxError).message, error);
  }
}

/** The first key that some object of a valid JSON text has twice. */
export function duplicateKey(text: string): string | undefined {
  const scopes: Set<string>[] = [];
  for (const [token, literal, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}]/g)) {
    if (token === '{') scopes.push(new Set());
    else if (token === '}') scopes.pop();
    else if (literal !== undefined && colon !== undefined) {
      const key = JSON.parse(literal) as string;
      const scope = scopes.at(-1);
      if (scope?.has(key)) return key;
      scope?.add(key);
    }
  }
  return undefined;
}

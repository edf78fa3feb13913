/** JSON from strangers: bounded before it is parsed, parse errors with a reason, duplicate keys, values in messages. */
import { readFile, stat } from 'node:fs/promises';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';

export type JsonObject = Record<string, unknown>;

/** Larger JSON files are no configuration and no index; the bound of a safetensors header. */
export const maxJsonBytes = 100_000_000;
/** Deeper nesting would overflow the stack of whoever walks over the value. */
const maxDepth = 64;
/** Values, by commas and brackets; the header of 500000 tensors has about as many. */
const maxValues = 2 ** 22;
/** Characters of a foreign value in a message. */
const maxShown = 200;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The text of a JSON file.
 * @throws KdxError `file-not-found`, `not-a-file`, `oversized-file`, ...
 */
export async function readJsonText(path: string): Promise<string> {
  try {
    const { size } = await regularFile(path);
    if (size > maxJsonBytes)
      throw new KdxError('oversized-file', `${path} has ${size} bytes, at most ${maxJsonBytes} are read`);
    return await readFile(path, 'utf8');
  } catch (error) {
    throw fileError(error, path);
  }
}

/** What is known of a file that can be read to an end: no folder, pipe or device. */
export async function regularFile(path: string): Promise<{ readonly size: number }> {
  const found = await stat(path);
  if (!found.isFile())
    throw new KdxError('not-a-file', `${path} is ${found.isDirectory() ? 'a folder' : 'a device'}, a file is needed`);
  return found;
}

/** Parses, or throws what `failure` makes of the reason. A byte-order mark is allowed. */
export function parseJson(text: string, failure: (reason: string, cause?: unknown) => Error): unknown {
  const excess = excessOf(text);
  if (excess !== undefined) throw failure(excess);
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw failure((error as SyntaxError).message, error);
  }
}

/** A foreign value in a message: JSON, cut when it is long. Its nesting must be bounded, as that of parseJson is. */
export function shown(value: unknown): string {
  return cut(JSON.stringify(value) ?? 'missing');
}

/** A foreign text in a message, cut when it is long. */
export function cut(text: string): string {
  return text.length > maxShown ? `${text.slice(0, maxShown)}...` : text;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Where the string ends that begins at `start`: after its closing quote, or at the end of the text. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at + 1;
  }
  return text.length;
}

/** Why a text, JSON or not, would take too much memory or stack. */
function excessOf(text: string): string | undefined {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = stringEnd(text, at) - 1;
    else if (code === COMMA) values++;
    else if (code === OPEN_BRACKET || code === OPEN_BRACE) {
      values++;
      if (++depth > maxDepth) return `nested more than ${maxDepth} levels deep`;
    } else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) depth--;
    if (values > maxValues) return `more than ${maxValues} values`;
  }
  return undefined;
}

/** The first key that some object of a valid JSON text has twice. */
export function duplicateKey(text: string): string | undefined {
  const scopes: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN_BRACE) scopes.push(new Set());
    else if (code === CLOSE_BRACE) scopes.pop();
    else if (code === QUOTE) {
      const end = stringEnd(text, at);
      if (isKey(text, end)) {
        const key = JSON.parse(text.slice(at, end)) as string;
        const scope = scopes.at(-1);
        if (scope?.has(key)) return key;
        scope?.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

function isKey(text: string, end: number): boolean {
  let at = end;
  while (/\s/.test(text[at] ?? '')) at++;
  return text[at] === ':';
}

/** From a recipe file, flags and overrides to a whole recipe, or to all that is wrong with them at once. */
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { applyOverride, merge, parseOverride, type Override } from './overrides.ts';
import { describeIssues } from './problems.ts';

export interface RecipeSources {
  /** What the others are laid over. */
  readonly base?: JsonObject | undefined;
  /** `--recipe`: a JSON file with any part of the recipe. */
  readonly file?: string | undefined;
  /** Values of named flags, by key of the recipe; they win over the file. Undefined values are as if absent. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** `--set key=value`; they win over all. */
  readonly set?: readonly string[] | undefined;
  /** Turns the short form of an override into its full path, given the recipe so far; a string says what is wrong. */
  readonly expand?: (override: Override, recipe: JsonObject) => Override | string;
  /** Keys that do not apply: left out at the end, whoever set them. */
  readonly drop?: readonly string[];
}

export interface CheckedRecipe<T> {
  /** With every default filled in; absent when the problems leave no recipe. Unknown keys are left out of it. */
  readonly recipe?: T;
  readonly problems: readonly string[];
}

/**
 * The recipe with every default filled in.
 * @throws KdxError `invalid-recipe` that lists everything that is wrong; errors of reading the file
 */
export async function resolveRecipe<S extends z.ZodType>(schema: S, sources: RecipeSources): Promise<z.output<S>> {
  const { recipe, problems } = await checkRecipe(schema, sources);
  if (problems.length > 0 || recipe === undefined) throw invalidRecipe(problems, sources.file);
  return recipe;
}

/** The same, for a caller that has problems of its own to report together with these. */
export async function checkRecipe<S extends z.ZodType>(
  schema: S,
  sources: RecipeSources,
): Promise<CheckedRecipe<z.output<S>>> {
  const problems: string[] = [];
  const fromFile = sources.file === undefined ? {} : await readRecipe(sources.file);
  let input = merge(merge(sources.base ?? {}, fromFile, problems), sources.flags ?? {}, problems);
  for (const text of sources.set ?? []) {
    const parsed = parseOverride(text);
    const override = typeof parsed === 'string' ? parsed : (sources.expand?.(parsed, input) ?? parsed);
    const changed = typeof override === 'string' ? override : applyOverride(input, override);
    if (typeof changed === 'string') problems.push(`--set: ${changed}`);
    else input = changed;
  }
  input = Object.fromEntries(Object.entries(input).filter(([key]) => !sources.drop?.includes(key)));
  const result = schema.safeParse(input, { reportInput: true });
  if (result.success) return { recipe: result.data, problems };
  const { issues } = result.error;
  problems.push(...describeIssues(issues, schema));
  const lenient = schema.safeParse(withoutUnknown(input, issues));
  return { ...(lenient.success && { recipe: lenient.data }), problems };
}

/** The same without the keys that a schema does not know. */
function withoutUnknown(input: JsonObject, issues: readonly z.core.$ZodIssue[]): JsonObject {
  const copy = structuredClone(input);
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const owner = issue.path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)[key], copy);
    for (const key of issue.keys) delete (owner as Record<string, unknown>)[key];
  }
  return copy;
}

/** One line per problem. */
export function invalidRecipe(problems: readonly string[], file?: string): KdxError {
  const where = file === undefined ? 'the recipe' : `the recipe (${file}, flags and --set together)`;
  const count = problems.length === 1 ? 'one error' : `${problems.length} errors`;
  return new KdxError('invalid-recipe', `${where} has ${count}\n${problems.map((line) => `  ${line}`).join('\n')}`, {
    suggestions: ['correct the lines above; plugins/distill/README.md lists every key with its default'],
  });
}

/** The object in a recipe file. */
export async function readRecipe(path: string): Promise<JsonObject> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError(error, path);
  }
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new KdxError('invalid-json', `${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!isJsonObject(value)) throw new KdxError('invalid-recipe', `${path} does not hold a JSON object`);
  return value;
}

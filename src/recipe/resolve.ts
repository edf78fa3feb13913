/** From a recipe file, flags and overrides to a whole recipe, or to all that is wrong with them at once. */
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { applyOverride, merge, parseOverride } from './overrides.ts';
import { describeIssues } from './problems.ts';

export interface RecipeSources {
  /** `--recipe`: a JSON file with any part of the recipe. */
  readonly file?: string | undefined;
  /** Values of named flags, by key of the recipe; they win over the file. Undefined values are as if absent. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** `--set key=value`; they win over all. */
  readonly set?: readonly string[] | undefined;
}

/**
 * The recipe with every default filled in.
 * @throws KdxError `invalid-recipe` that lists everything that is wrong; errors of reading the file
 */
export async function resolveRecipe<S extends z.ZodType>(schema: S, sources: RecipeSources): Promise<z.output<S>> {
  const fromFile = sources.file === undefined ? {} : await readRecipe(sources.file);
  let input = merge(fromFile, sources.flags ?? {});
  const problems: string[] = [];
  for (const text of sources.set ?? []) {
    const override = parseOverride(text);
    if (typeof override === 'string') problems.push(`--set: ${override}`);
    else input = applyOverride(input, override);
  }
  const result = schema.safeParse(input, { reportInput: true });
  if (!result.success) problems.push(...describeIssues(result.error.issues, schema));
  if (!result.success || problems.length > 0) throw invalidRecipe(problems, sources.file);
  return result.data;
}

/** One line per problem. */
export function invalidRecipe(problems: readonly string[], file?: string): KdxError {
  const where = file === undefined ? 'the recipe' : `the recipe (${file}, flags and --set together)`;
  const count = problems.length === 1 ? 'one error' : `${problems.length} errors`;
  return new KdxError('invalid-recipe', `${where} has ${count}\n${problems.map((line) => `  ${line}`).join('\n')}`, {
    suggestions: ['correct the lines above; src/recipe/README.md lists every key with its default'],
  });
}

async function readRecipe(path: string): Promise<JsonObject> {
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

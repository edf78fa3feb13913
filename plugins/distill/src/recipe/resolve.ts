/** From `--method`, `--recipe`, flags and `--set` to a recipe of distillation. */
import { nearest } from 'kdx/errors';
import {
  checkRecipe,
  isJsonObject,
  readRecipe,
  type CheckedRecipe,
  type Json,
  type JsonObject,
  type Override,
} from 'kdx/recipe';
import { methods } from '../methods/index.ts';
import { presetNames, presets } from './presets.ts';
import { distillSchema, stageSchema, type DistillRecipe } from './schema.ts';

export interface DistillSources {
  /** A named recipe; the file's own, or kd, when absent. */
  readonly method?: string | undefined;
  /** A recipe file. */
  readonly file?: string | undefined;
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly set?: readonly string[] | undefined;
  /** The student is a checkpoint: what named recipes and files say of its shape does not apply. */
  readonly studentGiven?: boolean;
}

/** The recipe, or all that is wrong with it. @throws KdxError of reading the file */
export async function checkDistillRecipe(sources: DistillSources): Promise<CheckedRecipe<DistillRecipe>> {
  const file = sources.file === undefined ? {} : await readRecipe(sources.file);
  const isWhole = Array.isArray(file['stages']);
  const method = sources.method ?? file['method'] ?? (isWhole ? 'custom' : 'kd');
  const known = presetNames.find((name) => name === method);
  if (!known && !isWhole) return { problems: [unknownMethod(String(method))] };
  const own: string[] = [];
  if (isWhole && method !== (file['method'] ?? method))
    own.push(`method: ${sources.file} has stages of its own, made from ${String(file['method'])}: leave out --method`);
  const [shape, set] = sources.studentGiven ? partition(sources.set ?? [], isOfStudent) : [[], sources.set];
  own.push(...shape.map((text) => `--set ${text}: the student is a checkpoint, which has a shape already`));
  const base: JsonObject = known ? presets[known].recipe : {};
  const { recipe, problems } = await checkRecipe(distillSchema, {
    base,
    file: sources.file,
    flags: { ...sources.flags, method },
    set,
    expand: expandOverride,
    ...(sources.studentGiven && { drop: ['student'] }),
  });
  return { ...(recipe && { recipe }), problems: [...own, ...problems] };
}

function unknownMethod(method: string): string {
  const meant = nearest(method, presetNames);
  const list = meant ? `did you mean ${meant}?` : `there are ${presetNames.join(', ')}`;
  return `method: no recipe is called ${JSON.stringify(method)}, ${list}`;
}

function isOfStudent(text: string): boolean {
  return /^\s*student\s*[.=]/.test(text);
}

/** Those that pass, and the others. */
function partition<T>(values: readonly T[], passes: (value: T) => boolean): [T[], T[]] {
  return [values.filter(passes), values.filter((value) => !passes(value))];
}

/**
 * Short forms of `--set`, where they mean one thing: `STAGE.key`, `LOSS.key`, and `key` alone for an option of a loss.
 */
export function expandOverride(override: Override, recipe: JsonObject): Override | string {
  const [first = '', key = ''] = override.path;
  if (first in distillSchema.shape) return override;
  const stages = objectsIn(recipe['stages']);
  const stage = stages.find(({ name }) => name === first);
  const isLoss = Object.hasOwn(methods, first);
  if (stage) {
    const loss = objectsIn(stage['losses']).some(({ method }) => method === key) ? ['losses'] : [];
    // A stage may have the name of a loss.
    if (!isLoss || loss.length > 0 || key in stageSchema.shape)
      return { ...override, path: ['stages', first, ...loss, ...override.path.slice(1)] };
  }
  const inLoss = isLoss ? override.path.slice(1) : override.path;
  const found = stages.flatMap(({ name, losses }) =>
    objectsIn(losses)
      .filter(({ method }) => (isLoss ? method === first : hasOption(method, first)))
      .map(({ method }) => ['stages', String(name), 'losses', String(method), ...inLoss]),
  );
  if (found.length > 1)
    return `${override.path.join('.')} may mean ${found.map((path) => path.join('.')).join(' or ')}: give one of these`;
  if (isLoss && !found[0]) return `${override.path.join('.')}: this recipe has no loss ${first}`;
  return found[0] ? { ...override, path: found[0] } : override;
}

/** The objects of a list in a recipe that is not checked yet. */
function objectsIn(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function hasOption(method: Json | undefined, option: string): boolean {
  const known = Object.entries(methods).find(([name]) => name === method)?.[1];
  return known !== undefined && option in known.options.shape;
}

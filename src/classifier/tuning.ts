/** Session options that `kdx export --tune` found best on one machine: read from kdx.json, used on that machine only. */
import { join, relative, sep } from 'node:path';
import { isObject, parseJson, readJsonText, shown } from '../checkpoint/index.ts';
import { nativeLibrary, processor, type Engine, type SessionOptions } from '../engine/index.ts';
import { KdxError } from '../errors/index.ts';
import { fileExists } from '../files/index.ts';
import type { ClassifierSource } from './classifier.ts';

/** Beside config.json of an exported folder. */
export const manifestName = 'kdx.json';

/** Where a tuning holds. */
export interface Machine {
  /** Version. */
  readonly onnxruntime: string;
  readonly processor: string;
}

export type TunedOptions = Pick<
  SessionOptions,
  'optimization' | 'disabledOptimizers' | 'memoryPattern' | 'prepacking' | 'spinning'
>;

/** What kdx.json says of a model's session. */
export interface Tuning extends Machine {
  /** What differs from the defaults of a session. */
  readonly options: TunedOptions;
  readonly threads: number;
}

/** Optimizers of ONNX Runtime that a tuning may switch off. */
export const tunableOptimizers: readonly string[] = ['SkipLayerNormFusion'];

const levels: readonly unknown[] = ['disabled', 'basic', 'extended', 'all'] satisfies SessionOptions['optimization'][];
/** More are no processor, but a mistake. */
const mostThreads = 1024;

const isBoolean = (value: unknown) => typeof value === 'boolean';
const allowed: { readonly [K in keyof Required<TunedOptions>]: (value: unknown) => boolean } = {
  optimization: (value) => levels.includes(value),
  disabledOptimizers: (value) => Array.isArray(value) && value.every((name) => tunableOptimizers.includes(name)),
  memoryPattern: isBoolean,
  prepacking: isBoolean,
  spinning: isBoolean,
};

/** Another ONNX Runtime or another processor makes another winner. */
export function thisMachine(): Machine {
  const { model, architecture, threads } = processor();
  const cores = `${threads} ${threads === 1 ? 'core' : 'cores'}`;
  return { onnxruntime: nativeLibrary().version, processor: `${model}, ${architecture}, ${cores}` };
}

/**
 * The tuning of an ONNX file, for whatever machine; undefined where none was written.
 * @throws KdxError `invalid-tuning`, and those of reading kdx.json
 */
export async function readTuning({
  dir,
  onnxFile,
}: Pick<ClassifierSource, 'dir' | 'onnxFile'>): Promise<Tuning | undefined> {
  const path = join(dir, manifestName);
  if (onnxFile === undefined || !(await fileExists(path))) return undefined;
  const invalid = (what: string) =>
    new KdxError('invalid-tuning', `${path}: ${what}`, {
      suggestions: ['export again with --tune', `delete ${path}: the model runs without it, with the default options`],
    });
  const manifest = parseJson(await readJsonText(path), (reason) => invalid(`not JSON (${reason})`));
  const models = isObject(manifest) ? manifest['models'] : undefined;
  const own = relative(dir, onnxFile).split(sep).join('/');
  const model: unknown = Array.isArray(models) && models.find((other) => isObject(other) && other['path'] === own);
  if (!isObject(model) || model['tuning'] === undefined) return undefined;
  return checkTuning(model['tuning'], (what) => invalid(`tuning of ${own}: ${what}`));
}

function checkTuning(tuning: unknown, invalid: (what: string) => Error): Tuning {
  if (!isObject(tuning)) throw invalid(`expected an object, found ${shown(tuning)}`);
  const { onnxruntime, processor, options, threads } = tuning;
  if (typeof onnxruntime !== 'string' || typeof processor !== 'string')
    throw invalid('expected the names of onnxruntime and processor');
  if (!Number.isInteger(threads) || (threads as number) < 1 || (threads as number) > mostThreads)
    throw invalid(`threads is ${shown(threads)}, expected a whole number from 1 to ${mostThreads}`);
  if (!isObject(options)) throw invalid(`options is ${shown(options)}, expected an object`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(allowed, name)) throw invalid(`there is no option ${shown(name)}`);
    if (!allowed[name as keyof TunedOptions](value)) throw invalid(`${name} cannot be ${shown(value)}`);
  }
  return { onnxruntime, processor, options, threads: threads as number };
}

/** Why a tuning does not hold here; undefined when it does. */
export function tuningMismatch(tuning: Machine, here: Machine): string | undefined {
  if (tuning.onnxruntime !== here.onnxruntime)
    return `tuned for ONNX Runtime ${tuning.onnxruntime}, this is ${here.onnxruntime}`;
  if (tuning.processor !== here.processor) return `tuned for ${tuning.processor}, this is ${here.processor}`;
  return undefined;
}

/**
 * The options of a tuning for a session with the threads that the user asked for, if any. Spinning was found with a number
 * of threads and goes with it.
 */
export function optionsWithThreads({ options, threads }: Tuning, asked?: number): SessionOptions {
  if (asked === undefined || asked === threads) return { ...options, threads };
  const { spinning: _, ...others } = options;
  return others;
}

/**
 * Options for `openClassifier`: those of the source's tuning where it holds here, else none.
 * @param threads as the user asked
 * @throws KdxError of readTuning
 */
export async function tunedOptions(
  source: Pick<ClassifierSource, 'dir' | 'onnxFile'>,
  { device }: Pick<Engine, 'device'>,
  threads?: number,
): Promise<SessionOptions> {
  const tuning = device.kind === 'cpu' ? await readTuning(source) : undefined;
  if (!tuning || tuningMismatch(tuning, thisMachine()) !== undefined) return {};
  return optionsWithThreads(tuning, threads);
}

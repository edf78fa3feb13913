/** Quantizing a model by the name of a scheme: options checked, the result checked, what was done in numbers. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { inputNames, openSource, type ClassifierSource } from 'kdx/classifier';
import type { Engine } from 'kdx/engine';
import { KdxError, nearest } from 'kdx/errors';
import { fileExists } from 'kdx/files';
import { checkGraph, type Model, type ValueInfo } from 'kdx/graph';
import { externalDataName, readModel, writeModel } from 'kdx/onnx';
import { foldInitializers } from 'kdx/passes';
import type { Progress } from 'kdx/progress';
import { checkRecipe } from 'kdx/recipe';
import { calibrationOf, type Calibration, type CalibrationText } from './calibration.ts';
import type { KeptNode, Quantized, Quantizer, QuantizedTensor } from './quantize/quantizer.ts';
import { quantizers } from './quantize/quantizers.ts';
import { paritySentences } from './sentences.ts';

/** A scheme as asked for. */
export interface Scheme {
  readonly quantizer: Quantizer;
  /** With every default. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface QuantizationReport {
  readonly scheme: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly tensors: readonly QuantizedTensor[];
  readonly kept: readonly KeptNode[];
  readonly sensitivities?: Quantized['sensitivities'];
}

/**
 * @param set `key=value` of options
 * @throws KdxError `unknown-scheme`, `invalid-option`
 */
export async function openScheme(name: string, set: readonly string[]): Promise<Scheme> {
  const names = quantizers.map((quantizer) => quantizer.name);
  const quantizer = quantizers.find((other) => other.name === name);
  if (!quantizer)
    throw new KdxError('unknown-scheme', `there is no scheme ${name}; there are ${names.join(', ')}`, {
      suggestions: [`--scheme ${nearest(name, names) ?? names[0]}`],
    });
  const { recipe, problems } = await checkRecipe(quantizer.options, { set });
  if (problems.length > 0 || recipe === undefined)
    throw new KdxError('invalid-option', `options of ${name}: ${problems.join('; ')}`, {
      suggestions: [`options of ${name}: ${Object.keys(quantizer.options.shape).join(', ')}`],
    });
  return { quantizer, options: recipe };
}

/** @throws KdxError `nothing-to-quantize`, those of the quantizer */
export async function quantizeModel(
  model: Model,
  { quantizer, options }: Scheme,
  calibration?: Calibration,
): Promise<{ model: Model; report: QuantizationReport }> {
  const result = await quantizer.quantize(model, options, calibration);
  const { tensors, kept, sensitivities } = result;
  if (tensors.length === 0)
    throw new KdxError('nothing-to-quantize', `${quantizer.name} found no weight in the model that it can quantize`, {
      suggestions: [
        'kdx inspect FILE shows weights and operators',
        ...new Set(kept.map(({ reason }) => `kept: ${reason}`)),
      ],
    });
  // Masks, scales and zero points are often the same.
  const { model: quantized } = foldInitializers(result.model, { views: false });
  checkGraph(quantized.graph);
  const report = { scheme: quantizer.name, options, tensors, kept, ...(sensitivities && { sensitivities }) };
  return { model: quantized, report };
}

export interface QuantizeFileOptions {
  readonly out: string;
  readonly scheme: Scheme;
  /** The written model is opened on it. */
  readonly engine: Engine;
  readonly force: boolean;
  /**
   * For a scheme that looks at activations; config.json and the tokenizer are then beside the file or one folder above.
   * Default, for one to which it is useful: built-in sentences, if those files are there.
   */
  readonly calibrate?: readonly CalibrationText[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface QuantizedFile extends QuantizationReport {
  readonly out: string;
  /** Of the model files, external data included. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Sentences whose activations were looked at; undefined for a scheme that looks at none. */
  readonly calibration?: 'given' | 'built-in' | 'none';
}

/**
 * Quantizes an ONNX file. The result is loaded by ONNX Runtime before it is written; its answers are not compared.
 * @throws KdxError `output-exists`, `nothing-to-quantize`, `invalid-model`, those of reading, quantizing and writing, and of
 *   openSource with sentences
 */
export async function quantizeFile(file: string, options: QuantizeFileOptions): Promise<QuantizedFile> {
  const { out, scheme, engine, force } = options;
  if (resolve(out) === resolve(file))
    throw new KdxError('output-exists', `--out is the file to be quantized, ${file}`, {
      suggestions: ['--out with another name'],
    });
  if (!force && (await fileExists(out)))
    throw new KdxError('output-exists', `${out} exists`, { suggestions: ['--force to replace it', 'another --out'] });
  const float = await readModel(file);
  const source = await calibrationSource(file, float, options);
  const calibration = source && calibrationOf(source, options.calibrate ?? paritySentences, options);
  const { model, report } = await quantizeModel(float, scheme, calibration);
  await (await engine.createSession(model, { name: out })).release();
  await writeModel(out, model);
  const sentences = options.calibrate ? 'given' : source ? 'built-in' : 'none';
  const looked = scheme.quantizer.calibration && ({ calibration: sentences } as const);
  return { out, bytesBefore: await modelBytes(file), bytesAfter: await modelBytes(out), ...looked, ...report };
}

/** Whose tokenizer makes the inputs; undefined where the scheme needs none, or a useful one is not there. */
async function calibrationSource(
  file: string,
  { graph }: Model,
  { scheme, calibrate }: QuantizeFileOptions,
): Promise<ClassifierSource | undefined> {
  if (calibrate) return openSource(file);
  if (scheme.quantizer.calibration !== 'useful' || !graph.inputs.every(takesAnyText)) return undefined;
  return openSource(file).catch((error: unknown) => {
    if (error instanceof KdxError) return undefined;
    throw error;
  });
}

/** An input of BERT, for one text of any length. */
function takesAnyText({ name, dtype, shape }: ValueInfo): boolean {
  const [rows, length] = shape ?? ['rows', 'length'];
  return (
    inputNames.includes(name) &&
    dtype === 'int64' &&
    (typeof rows === 'string' || rows === 1) &&
    typeof length === 'string'
  );
}

async function modelBytes(file: string): Promise<number> {
  const data = resolve(file, '..', externalDataName(file));
  const external = (await fileExists(data)) ? (await stat(data)).size : 0;
  return (await stat(file)).size + external;
}

/** Quantizing a model by the name of a scheme: options checked, the result checked, what was done in numbers. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Engine } from 'kdx/engine';
import { KdxError, nearest } from 'kdx/errors';
import { fileExists } from 'kdx/files';
import { checkGraph, type Model } from 'kdx/graph';
import { externalDataName, readModel, writeModel } from 'kdx/onnx';
import { checkRecipe } from 'kdx/recipe';
import type { Calibration } from './calibration.ts';
import type { KeptNode, Quantizer, QuantizedTensor } from './quantize/quantizer.ts';
import { quantizers } from './quantize/quantizers.ts';

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
  const { model: quantized, tensors, kept } = await quantizer.quantize(model, options, calibration);
  if (tensors.length === 0)
    throw new KdxError('nothing-to-quantize', `${quantizer.name} found no weight in the model that it can quantize`, {
      suggestions: [
        'kdx inspect FILE shows weights and operators',
        ...new Set(kept.map(({ reason }) => `kept: ${reason}`)),
      ],
    });
  checkGraph(quantized.graph);
  return { model: quantized, report: { scheme: quantizer.name, options, tensors, kept } };
}

export interface QuantizeFileOptions {
  readonly out: string;
  readonly scheme: Scheme;
  /** The written model is opened on it. */
  readonly engine: Engine;
  readonly force: boolean;
}

export interface QuantizedFile extends QuantizationReport {
  readonly out: string;
  /** Of the model files, external data included. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Quantizes an ONNX file. The result is loaded by ONNX Runtime before it is written; its answers are not compared.
 * @throws KdxError `output-exists`, `nothing-to-quantize`, `invalid-model`, those of reading, quantizing and writing
 */
export async function quantizeFile(
  file: string,
  { out, scheme, engine, force }: QuantizeFileOptions,
): Promise<QuantizedFile> {
  if (resolve(out) === resolve(file))
    throw new KdxError('output-exists', `--out is the file to be quantized, ${file}`, {
      suggestions: ['--out with another name'],
    });
  if (!force && (await fileExists(out)))
    throw new KdxError('output-exists', `${out} exists`, { suggestions: ['--force to replace it', 'another --out'] });
  const { model, report } = await quantizeModel(await readModel(file), scheme);
  await (await engine.createSession(model, { name: out })).release();
  await writeModel(out, model);
  return { out, bytesBefore: await modelBytes(file), bytesAfter: await modelBytes(out), ...report };
}

async function modelBytes(file: string): Promise<number> {
  const data = resolve(file, '..', externalDataName(file));
  const external = (await fileExists(data)) ? (await stat(data)).size : 0;
  return (await stat(file)).size + external;
}

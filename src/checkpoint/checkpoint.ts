/** Checkpoints: a Hugging Face folder or hub id as configuration and named float32 weights, and back. */
import { readFile, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { KdxError, internal } from '../errors/index.ts';
import { fileError, writeFileAtomic } from '../files/index.ts';
import type { Tensor } from '../graph/index.ts';
import type { BertConfig } from './bert-config.ts';
import { physicalLayers } from '../nn/index.ts';
import { configToJson } from './bert-config.ts';
import type { BertPart, BertTensor } from './bert-tensors.ts';
import { bertTensors, canonicalName, isBuffer } from './bert-tensors.ts';
import { readConfig } from './config-reader.ts';
import { toFloat32 } from './float-conversion.ts';
import type { ResolveOptions } from './resolve.ts';
import { resolveModel } from './resolve.ts';
import { readSafetensors } from './safetensors-reader.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { configFile, findWeights, singleFile, tokenizerFileNames } from './weight-files.ts';

export type Weights = ReadonlyMap<string, Tensor<'float32'>>;

export interface Checkpoint {
  /** The local folder, in the hub's cache for a hub id. */
  readonly dir: string;
  readonly config: BertConfig;
  /** By canonical name (see bertTensors), in its order; linear weights are [out, in]. */
  readonly weights: Weights;
  /** Tensors of the files that are no part of the classifier, as stored: `cls.*` of a masked language model, ... */
  readonly extra: ReadonlyMap<string, Tensor>;
  readonly hasPooler: boolean;
  /** Whether `classifier.*` is there; without it the model has to be finetuned first. */
  readonly hasHead: boolean;
  /** Paths of tokenizer.json, tokenizer_config.json, special_tokens_map.json and vocab.txt, those that exist. */
  readonly tokenizerFiles: readonly string[];
}

/**
 * Loads a folder, or a model of the hub (`org/name`, `org/name@revision`).
 * @throws KdxError of resolveModel, readConfig and readSafetensors; `not-a-checkpoint`, `unsafe-weights`,
 *   `missing-tensor`, `tensor-shape`, `tensor-dtype`, `duplicate-tensor`, `unexpected-tensor`
 */
export async function loadCheckpoint(ref: string, options: ResolveOptions = {}): Promise<Checkpoint> {
  const dir = await resolveModel(ref, options);
  const files = await findWeights(dir);
  const config = await readConfig(join(dir, configFile));
  const stored = await readStored(dir, files);
  const { weights, extra } = sortTensors(dir, config, stored);
  return {
    dir,
    config,
    weights,
    extra,
    hasPooler: weights.has('bert.pooler.dense.weight'),
    hasHead: weights.has('classifier.weight'),
    tokenizerFiles: await findTokenizerFiles(dir),
  };
}

export interface SaveOptions {
  readonly config: BertConfig;
  /** Every tensor of bertTensors(config); others are a mistake of the caller. */
  readonly weights: Weights;
  /** The folder whose tokenizer files are copied, if any. */
  readonly tokenizerFrom?: string;
}

/**
 * Writes config.json, the tokenizer files and, last, model.safetensors; each file is replaced whole or not at all.
 * @throws KdxError `disk-full`, `file-not-accessible`, ...
 */
export async function saveCheckpoint(dir: string, { config, weights, tokenizerFrom }: SaveOptions): Promise<void> {
  const ordered = new Map<string, Tensor>();
  for (const { name, dims } of bertTensors(config)) {
    const found = weights.get(name);
    if (found === undefined || !sameDims(found.dims, dims))
      throw internal(`tensor ${name} to be saved is ${shape(found?.dims)}, expected ${shape(dims)}`);
    ordered.set(name, found);
  }
  const surplus = [...weights.keys()].find((name) => !ordered.has(name));
  if (surplus !== undefined) throw internal(`tensor ${surplus} to be saved is no part of the model`);

  await writeFileAtomic(join(dir, configFile), `${JSON.stringify(configToJson(config), null, 2)}\n`);
  if (tokenizerFrom !== undefined) await copyTokenizerFiles(tokenizerFrom, dir);
  await writeSafetensors(join(dir, singleFile), ordered);
}

/** Copies the tokenizer files that `from` has, each whole or not at all. */
export async function copyTokenizerFiles(from: string, to: string): Promise<void> {
  if (resolve(from) === resolve(to)) return;
  for (const path of await findTokenizerFiles(from))
    await writeFileAtomic(join(to, basename(path)), await readFile(path));
}

async function findTokenizerFiles(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((error: unknown) => {
    throw fileError(error, dir);
  });
  return tokenizerFileNames.filter((name) => names.includes(name)).map((name) => join(dir, name));
}

interface Stored {
  readonly tensor: Tensor;
  readonly file: string;
}

async function readStored(
  dir: string,
  files: ReadonlyMap<string, readonly string[] | undefined>,
): Promise<Map<string, Stored>> {
  const stored = new Map<string, Stored>();
  for (const [file, promised] of files) {
    const path = join(dir, file);
    const { tensors } = await readSafetensors(path);
    const absent = promised?.find((name) => !tensors.has(name));
    if (absent !== undefined)
      throw new KdxError('missing-tensor', `${path} has no tensor ${absent}, which the index promises`, {
        suggestions: ['copy or download the weights and their index again'],
      });
    for (const [name, tensor] of tensors) {
      const other = stored.get(name);
      if (other !== undefined) throw duplicate(dir, `${name} of ${other.file}`, `${name} of ${file}`);
      stored.set(name, { tensor, file });
    }
  }
  return stored;
}

/** Puts every stored tensor under its canonical name, and checks that none is missing or of another shape. */
function sortTensors(
  dir: string,
  config: BertConfig,
  stored: ReadonlyMap<string, Stored>,
): { weights: Weights; extra: Map<string, Tensor> } {
  const expected = bertTensors(config);
  const known = new Set(expected.map(({ name }) => name));
  const names = new Map<string, string>();
  const extra = new Map<string, Tensor>();
  for (const [name, { tensor, file }] of stored) {
    const canonical = canonicalName(name);
    if (isBuffer(canonical)) continue;
    if (known.has(canonical)) {
      const other = names.get(canonical);
      if (other !== undefined) throw duplicate(dir, other, name);
      names.set(canonical, name);
    } else {
      checkLayer(canonical, join(dir, file), config);
      extra.set(name, tensor);
    }
  }

  const parts = new Set<BertPart>(['encoder']);
  for (const { name, part } of expected) if (names.has(name)) parts.add(part);
  if (parts.has('head')) parts.add('pooler');

  const weights = new Map<string, Tensor<'float32'>>();
  for (const entry of expected) {
    if (!parts.has(entry.part)) continue;
    const name = names.get(entry.name);
    if (name === undefined) throw missing(dir, entry, config);
    const { tensor, file } = stored.get(name) as Stored;
    weights.set(entry.name, checkTensor(name, tensor, entry.dims, join(dir, file)));
  }
  return { weights, extra };
}

function checkTensor(name: string, tensor: Tensor, dims: readonly number[], path: string): Tensor<'float32'> {
  if (!sameDims(tensor.dims, dims))
    throw new KdxError(
      'tensor-shape',
      `tensor ${name} of ${path} has shape ${shape(tensor.dims)}, expected ${shape(dims)}`,
      {
        suggestions: ['config.json and the weights belong to different models; copy both from the same place'],
      },
    );
  if (!/float/.test(tensor.dtype))
    throw new KdxError('tensor-dtype', `tensor ${name} of ${path} is ${tensor.dtype}, expected a float type`, {
      suggestions: ['give the model before quantization'],
    });
  return toFloat32(tensor);
}

/** More layers stored than configured: one of the two files is not the right one. */
function checkLayer(canonical: string, path: string, config: BertConfig): void {
  const layer = /^bert\.encoder\.layer\.(\d+)\./.exec(canonical)?.[1];
  const layers = physicalLayers(config);
  if (layer !== undefined && Number(layer) >= layers)
    throw new KdxError('unexpected-tensor', `${path} has ${canonical}, but config.json has only ${layers} layer(s)`, {
      suggestions: ['copy config.json and the weights from the same place'],
    });
}

function missing(dir: string, entry: BertTensor, config: BertConfig): KdxError {
  const layers = physicalLayers(config);
  return new KdxError(
    'missing-tensor',
    `${dir} has no tensor ${entry.name}, expected with shape ${shape(entry.dims)}`,
    {
      suggestions: [`config.json describes a BERT of ${layers} layer(s); use the weights that belong to it`],
    },
  );
}

function duplicate(dir: string, first: string, second: string): KdxError {
  return new KdxError('duplicate-tensor', `${dir} has the same tensor twice: ${first} and ${second}`, {
    suggestions: ['save the model again, under one set of names'],
  });
}

function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

function shape(dims: readonly number[] | undefined): string {
  return dims === undefined ? 'missing' : `[${dims.join(', ')}]`;
}

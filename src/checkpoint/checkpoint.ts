/** Checkpoints: a Hugging Face folder or hub id as configuration and named float32 weights, and back. */
import { join } from 'node:path';
import { internal } from '../errors/index.ts';
import { writeFileAtomic } from '../files/index.ts';
import type { Tensor } from '../graph/index.ts';
import type { BertConfig } from './bert-config.ts';
import { bertTensors, partsOfKind, storedName, type CheckpointKind } from './bert-tensors.ts';
import { readConfig } from './config-reader.ts';
import { configToJson } from './config-writer.ts';
import type { ResolveOptions } from './resolve.ts';
import { resolveModel } from './resolve.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { readStored, sameDims, shapeText, sortTensors, type Weights } from './stored-tensors.ts';
import { copyTokenizerFiles, findTokenizerFiles, omitTokenTypes } from './tokenizer-copy.ts';
import { configFile, findWeights, singleFile } from './weight-files.ts';

export interface Checkpoint {
  /** The local folder, in the hub's cache for a hub id. */
  readonly dir: string;
  readonly config: BertConfig;
  /** By canonical name (see bertTensors), in its order; linear weights are [out, in]. */
  readonly weights: Weights;
  /** Tensors of the files that are no part of the model, as stored: `cls.seq_relationship.*`, projections, ... */
  readonly extra: ReadonlyMap<string, Tensor>;
  readonly hasPooler: boolean;
  /** Whether `classifier.*` is there; without it the model has to be finetuned first. */
  readonly hasHead: boolean;
  /** Whether `cls.predictions.*` is there, complete and tied to the word embeddings. */
  readonly hasMaskedLmHead: boolean;
  /** Paths of tokenizer.json, tokenizer_config.json, vocab.txt and the like, those that exist. */
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
    hasMaskedLmHead: weights.has('cls.predictions.bias'),
    tokenizerFiles: await findTokenizerFiles(dir),
  };
}

export interface SaveOptions {
  readonly config: BertConfig;
  /** Default `classifier`. */
  readonly kind?: CheckpointKind;
  /** Every tensor of the parts of this kind, for an encoder with or without the pooler; others are a mistake of the caller. */
  readonly weights: Weights;
  /** Further tensors, under names that are none of the model's. */
  readonly extra?: ReadonlyMap<string, Tensor>;
  /** The folder whose tokenizer files are copied, if any; for a model without token types the copy asks for none. */
  readonly tokenizerFrom?: string;
}

/**
 * Writes config.json, the tokenizer files and, last, model.safetensors; each file is replaced whole or not at all.
 * @throws KdxError `disk-full`, `file-not-accessible`, ...
 */
export async function saveCheckpoint(dir: string, options: SaveOptions): Promise<void> {
  const { config, kind = 'classifier', tokenizerFrom } = options;
  const tensors = tensorsToSave(kind, options);
  await writeFileAtomic(join(dir, configFile), `${JSON.stringify(configToJson(config, kind), null, 2)}\n`);
  if (tokenizerFrom !== undefined) {
    await copyTokenizerFiles(tokenizerFrom, dir);
    if (config.typeVocabSize === 0) await omitTokenTypes(dir);
  }
  await writeSafetensors(join(dir, singleFile), tensors);
}

/** By the names that Transformers has for this family. */
function tensorsToSave(kind: CheckpointKind, { config, weights, extra = new Map() }: SaveOptions): Map<string, Tensor> {
  const hasPooler = weights.has('bert.pooler.dense.weight');
  const parts = partsOfKind[kind].filter((part) => part !== 'pooler' || kind !== 'encoder' || hasPooler);
  const expected = bertTensors(config, parts);
  const tensors = new Map<string, Tensor>();
  for (const { name, dims } of expected) {
    const found = weights.get(name);
    if (found === undefined || !sameDims(found.dims, dims))
      throw internal(`tensor ${name} to be saved is ${shapeText(found?.dims)}, expected ${shapeText(dims)}`);
    tensors.set(storedName(name, config.family), found);
  }
  const surplus = [...weights.keys()].find((name) => !expected.some((entry) => entry.name === name));
  if (surplus !== undefined) throw internal(`tensor ${surplus} to be saved is no part of the model`);
  for (const [name, value] of extra) {
    if (tensors.has(name)) throw internal(`extra tensor ${name} has the name of one of the model's`);
    tensors.set(name, value);
  }
  return tensors;
}

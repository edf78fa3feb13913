/** Which files of a folder hold the weights: model.safetensors, or the shards of an index. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { isObject, parseJson, readJsonText, shown } from './json.ts';

export const singleFile = 'model.safetensors';
export const indexFile = 'model.safetensors.index.json';
export const configFile = 'config.json';
export const tokenizerFileNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
];

/** Weights in formats that can run code when loaded, or that kdx does not read. */
const otherWeights = /^(pytorch_model.*\.bin|tf_model.*\.h5|flax_model.*\.msgpack|model.*\.ckpt.*)$/;

/**
 * The weight files of a folder, each with the tensors that it must hold (undefined: no statement).
 * @throws KdxError `not-a-checkpoint`, `unsafe-weights`, `corrupt-index`
 */
export async function findWeights(dir: string): Promise<Map<string, readonly string[] | undefined>> {
  const names = await listFolder(dir);
  checkNames(names, dir);
  if (names.includes(singleFile)) return new Map([[singleFile, undefined]]);
  const shards = await readIndex(join(dir, indexFile));
  const missing = [...shards.keys()].filter((shard) => !names.includes(shard));
  if (missing.length > 0)
    throw new KdxError('not-a-checkpoint', `${dir} lacks ${missing.join(', ')}, which ${indexFile} names`, {
      suggestions: ['copy or download the missing files too'],
    });
  return shards;
}

/** Refuses a list of file names that is no checkpoint, saying what is missing. */
export function checkNames(names: readonly string[], where: string): void {
  const hasWeights = names.includes(singleFile) || names.includes(indexFile);
  const pickle = names.find((name) => otherWeights.test(name));
  if (!hasWeights && pickle !== undefined)
    throw new KdxError('unsafe-weights', `${where} has its weights only in ${pickle}; kdx reads safetensors alone`, {
      suggestions: [
        'a pickle can run any code when it is loaded, so convert it once where you trust it, in Python:',
        "AutoModel.from_pretrained('DIR').save_pretrained('NEW_DIR', safe_serialization=True)",
      ],
    });
  const missing = [
    ...(names.includes(configFile) ? [] : [configFile]),
    ...(hasWeights ? [] : [`${singleFile} (or ${indexFile})`]),
  ];
  if (missing.length > 0)
    throw new KdxError('not-a-checkpoint', `${where} is not a checkpoint: it has no ${missing.join(' and no ')}`, {
      suggestions: ['give a Hugging Face folder with config.json, model.safetensors and tokenizer.json'],
    });
}

/**
 * Tensor names by shard.
 * @throws KdxError `corrupt-index`
 */
export async function readIndex(path: string): Promise<Map<string, readonly string[]>> {
  const corrupt = (what: string, cause?: unknown) =>
    new KdxError('corrupt-index', `${path}: ${what}`, { suggestions: ['copy or download the file again'], cause });
  const json = parseJson(await readJsonText(path), (reason, cause) => corrupt(`not JSON (${reason})`, cause));
  const weightMap = isObject(json) ? json['weight_map'] : undefined;
  if (!isObject(weightMap) || Object.keys(weightMap).length === 0) throw corrupt('it has no weight_map');
  const shards = new Map<string, string[]>();
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string' || !/^[\w-][\w.-]*\.safetensors$/.test(shard))
      throw corrupt(`tensor ${name} is in ${shown(shard)}, which is no safetensors file of the folder`);
    const names = shards.get(shard);
    if (names) names.push(name);
    else shards.set(shard, [name]);
  }
  return shards;
}

async function listFolder(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTDIR') throw fileError(error, dir);
    throw new KdxError('not-a-folder', `${dir} is a file, a checkpoint folder is needed`, { cause: error });
  }
}

/** The tensors of a checkpoint's files: read, put under canonical names, checked. */
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { bytesOf, type Tensor } from '../graph/index.ts';
import { familyTraits, physicalLayers } from '../nn/index.ts';
import type { BertConfig } from './bert-config.ts';
import {
  allParts,
  bertTensors,
  canonicalName,
  isBuffer,
  storedName,
  tiedCopies,
  type BertPart,
  type BertTensor,
} from './bert-tensors.ts';
import { toFloat32 } from './float-conversion.ts';
import { readSafetensors } from './safetensors-reader.ts';

/** Tensors by canonical name; linear weights are [out, in]. */
export type Weights = ReadonlyMap<string, Tensor<'float32'>>;

export interface Stored {
  readonly tensor: Tensor;
  readonly file: string;
}

/** Tensors by the name they are stored under, of all files. */
export async function readStored(
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

/**
 * Puts every stored tensor under its canonical name, and checks that none is missing or of another shape. The head of a
 * masked language model that is incomplete or not tied to the word embeddings is no part of the model.
 */
export function sortTensors(
  dir: string,
  config: BertConfig,
  stored: ReadonlyMap<string, Stored>,
): { weights: Weights; extra: Map<string, Tensor> } {
  const expected = bertTensors(config, allParts);
  const { names, extra } = canonicalNames(dir, config, stored);
  const parts = new Set<BertPart>(['encoder']);
  for (const { name, part } of expected) if (names.has(name)) parts.add(part);
  if (parts.has('head')) parts.add('pooler');
  const untied = resolveCopies(names, stored);
  if (untied || expected.some(({ name, part }) => part === 'masked-lm' && !names.has(name))) parts.delete('masked-lm');

  const weights = new Map<string, Tensor<'float32'>>();
  for (const entry of expected) {
    if (!parts.has(entry.part)) continue;
    const name = names.get(entry.name);
    if (name === undefined) throw missing(dir, entry, config);
    names.delete(entry.name);
    const { tensor, file } = stored.get(name) as Stored;
    weights.set(entry.name, checkTensor(name, tensor, entry.dims, join(dir, file)));
  }
  for (const [canonical, name] of names) {
    const { tensor, file } = stored.get(name) as Stored;
    checkLayer(canonical, `${join(dir, file)} has ${name}`, config);
    extra.set(name, tensor);
  }
  return { weights, extra };
}

/** Stored names by canonical name, without buffers; tensors whose names are none of the family's. */
function canonicalNames(
  dir: string,
  { family }: BertConfig,
  stored: ReadonlyMap<string, Stored>,
): { names: Map<string, string>; extra: Map<string, Tensor> } {
  const names = new Map<string, string>();
  const extra = new Map<string, Tensor>();
  for (const [name, { tensor }] of stored) {
    const canonical = canonicalName(name, family);
    if (canonical === undefined) extra.set(name, tensor);
    else if (!isBuffer(canonical)) {
      const other = names.get(canonical);
      if (other !== undefined) throw duplicate(dir, other, name);
      names.set(canonical, name);
    }
  }
  return { names, extra };
}

/** Removes the second names of tied tensors; true if one of them has other content than what it should be tied to. */
function resolveCopies(names: Map<string, string>, stored: ReadonlyMap<string, Stored>): boolean {
  let untied = false;
  for (const [copy, original] of tiedCopies) {
    const copyName = names.get(copy);
    if (copyName === undefined) continue;
    const originalName = names.get(original);
    if (originalName === undefined) names.set(original, copyName);
    else if (!sameContent(stored.get(copyName)?.tensor, stored.get(originalName)?.tensor)) {
      untied = true;
      continue;
    }
    names.delete(copy);
  }
  return untied;
}

function sameContent(a: Tensor | undefined, b: Tensor | undefined): boolean {
  if (a === undefined || b === undefined || a.dtype !== b.dtype || !sameDims(a.dims, b.dims)) return false;
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function checkTensor(name: string, tensor: Tensor, dims: readonly number[], path: string): Tensor<'float32'> {
  if (!sameDims(tensor.dims, dims))
    throw new KdxError(
      'tensor-shape',
      `tensor ${name} of ${path} has shape ${shapeText(tensor.dims)}, expected ${shapeText(dims)}`,
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
function checkLayer(canonical: string, found: string, config: BertConfig): void {
  const layer = /^bert\.encoder\.layer\.(\d+)\./.exec(canonical)?.[1];
  const layers = physicalLayers(config);
  if (layer !== undefined && Number(layer) >= layers)
    throw new KdxError('unexpected-tensor', `${found}, but config.json has only ${layers} layer(s)`, {
      suggestions: ['copy config.json and the weights from the same place'],
    });
}

function missing(dir: string, entry: BertTensor, config: BertConfig): KdxError {
  const layers = physicalLayers(config);
  return new KdxError(
    'missing-tensor',
    `${dir} has no tensor ${storedName(entry.name, config.family)}, expected with shape ${shapeText(entry.dims)}`,
    {
      suggestions: [
        `config.json describes a ${familyTraits(config).name} of ${layers} layer(s); use the weights that belong to it`,
      ],
    },
  );
}

function duplicate(dir: string, first: string, second: string): KdxError {
  return new KdxError('duplicate-tensor', `${dir} has the same tensor twice: ${first} and ${second}`, {
    suggestions: ['save the model again, under one set of names'],
  });
}

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

export function shapeText(dims: readonly number[] | undefined): string {
  return dims === undefined ? 'missing' : `[${dims.join(', ')}]`;
}

/** A BERT small enough to be written in a test, and the ways to break it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BertConfig, BertPart } from '../../src/checkpoint/index.ts';
import { bertTensors, parseConfig, writeSafetensors } from '../../src/checkpoint/index.ts';
import type { Tensor } from '../../src/graph/index.ts';
import { elementCount, tensor } from '../../src/graph/index.ts';

export const tinyJson: Readonly<Record<string, unknown>> = {
  model_type: 'bert',
  vocab_size: 11,
  hidden_size: 4,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 6,
  max_position_embeddings: 8,
  id2label: { 0: 'negative', 1: 'positive' },
};

export function tinyConfig(changes: Record<string, unknown> = {}): BertConfig {
  return parseConfig({ ...tinyJson, ...changes }, 'config.json');
}

/** Every tensor of a config; no two elements are alike. */
export function tinyWeights(config: BertConfig, parts?: readonly BertPart[]): Map<string, Tensor<'float32'>> {
  let next = 0;
  return new Map(
    bertTensors(config, parts).map(({ name, dims }) => [
      name,
      tensor(
        'float32',
        dims,
        Float32Array.from({ length: elementCount(dims) }, () => next++ / 64),
      ),
    ]),
  );
}

/** A folder as another tool would have written it: any names, any tensors. */
export async function writeFolder(
  dir: string,
  json: Readonly<Record<string, unknown>>,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'config.json'), JSON.stringify(json));
  await writeSafetensors(join(dir, 'model.safetensors'), tensors);
}

/** The same tensors under other names; a rename to undefined drops the tensor. */
export function renamed<T>(
  tensors: ReadonlyMap<string, T>,
  rename: (name: string) => string | undefined,
): Map<string, T> {
  const result = new Map<string, T>();
  for (const [name, value] of tensors) {
    const other = rename(name);
    if (other !== undefined) result.set(other, value);
  }
  return result;
}

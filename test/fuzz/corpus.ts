/** The valid files that are mutated, small and the same in every run. */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyTokenizerFiles, loadCheckpoint } from '../../src/checkpoint/index.ts';
import { checkpointModel } from '../../src/classifier/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { everything, linear } from '../onnx/samples.ts';
import { tinyRoberta, writeTinyClassifier } from '../support/tiny-classifier.ts';

/** Content by path, of a folder that is written anew for every mutation. */
export type Files = ReadonlyMap<string, Uint8Array>;

export interface Corpus {
  /** onnx/model.onnx, config.json and the tokenizer of a tiny classifier. */
  readonly exported: Files;
  /** model.onnx with every element and attribute type and subgraphs. */
  readonly everything: Files;
  /** model.onnx and model.onnx_data. */
  readonly external: Files;
  /** config.json, model.safetensors, tokenizer.json. */
  readonly checkpoint: Files;
  /** The same of a RoBERTa, with vocab.json and merges.txt. */
  readonly roberta: Files;
}

/** What no model may read or change: it lies outside of the folder that a mutation is in. */
export const secret = Buffer.from('outside the folder of the model'.repeat(8).slice(0, 240));

/** Makes the corpus in a folder, and in `outside` beside it what must not be read. */
export async function makeCorpus(root: string): Promise<Corpus> {
  await mkdir(join(root, 'outside'));
  await writeFile(join(root, 'outside', 'secret.bin'), secret);
  const folder = (name: string) => join(root, 'corpus', name);
  const [checkpoint, exported, plain] = [folder('checkpoint'), folder('exported'), folder('plain')];
  const [external, roberta] = [folder('external'), folder('roberta')];
  await writeTinyClassifier(checkpoint, { config: { max_position_embeddings: 16, num_hidden_layers: 1 } });
  await writeModel(join(exported, 'onnx', 'model.onnx'), checkpointModel(await loadCheckpoint(checkpoint)));
  await writeTinyClassifier(roberta, {
    ...tinyRoberta,
    config: { ...tinyRoberta.config, max_position_embeddings: 18, num_hidden_layers: 1 },
  });
  await writeFile(join(exported, 'config.json'), await readFile(join(checkpoint, 'config.json')));
  await copyTokenizerFiles(checkpoint, exported);
  await writeModel(join(plain, 'model.onnx'), everything());
  await writeModel(join(external, 'model.onnx'), linear(60, 60), { externalData: 'always' });
  return {
    checkpoint: await filesOf(checkpoint),
    exported: await filesOf(exported),
    everything: await filesOf(plain),
    external: await filesOf(external),
    roberta: await filesOf(roberta),
  };
}

async function filesOf(dir: string): Promise<Files> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = files.map(async (path) => [path.slice(dir.length + 1), await readFile(path)] as const);
  return new Map(await Promise.all(contents));
}

/** Links out of the folder and in circles, which external data may name. */
export async function writeLinks(dir: string, outside: string): Promise<void> {
  await symlink(join(outside, 'secret.bin'), join(dir, 'link-to-file'));
  await symlink(outside, join(dir, 'link-to-folder'));
  await symlink('link-to-itself', join(dir, 'link-to-itself'));
}

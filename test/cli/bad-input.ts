/** A wrong input and what kdx must say of it; and good inputs small enough to be made for each row, to be broken. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bertTensors, parseConfig, writeSafetensors } from '../../src/checkpoint/index.ts';
import { sha256 } from '../../src/files/index.ts';
import { elementCount, tensor, type Tensor } from '../../src/graph/index.ts';
import { runCommand, type Outcome } from './run-command.ts';

export interface BadInput {
  readonly name: string;
  /** Makes the wrong input below the folder. */
  readonly given?: (folder: string) => Promise<unknown>;
  /** After `kdx`; a word that begins with `@` is a path below the folder. */
  readonly words: readonly string[];
  readonly code: string;
  /** Parts of what stderr gets; paths below the folder begin with `@`. */
  readonly says: readonly (string | RegExp)[];
  /** Whether it ends with something to do; default true. */
  readonly suggests?: boolean;
  /** Reason why this row cannot be tried here. */
  readonly skip?: string | undefined;
}

/** One test per row, each in a new folder that must be as it was afterwards. */
export function tableOfBadInputs(rows: readonly BadInput[]): void {
  const place = usePlace();
  for (const row of rows)
    it(row.name, { skip: row.skip ?? false }, async () => {
      const folder = await place.folder();
      await row.given?.(folder);
      const found = await snapshot(folder);
      const outcome = await runIn(folder, row.words);
      assertRefused(outcome, row, folder);
      assert.deepEqual(await snapshot(folder), found, 'nothing is written');
    });
}

/** A folder for all tests of a file, with the caches that kdx is given; gone at the end. */
export function usePlace(): { folder(): Promise<string> } {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'kdx-bad-input-'));
    process.env['KDX_CACHE'] = join(root, 'cache');
    process.env['HF_HUB_CACHE'] = join(root, 'hub');
    process.env['HF_HUB_OFFLINE'] = '1';
  });
  after(() => rm(root, { recursive: true, force: true }));
  return { folder: () => mkdtemp(join(root, 'row-')) };
}

export function runIn(folder: string, words: readonly string[]): Promise<Outcome> {
  return runCommand(words.map((word) => word.replace(/(^|=)@/, `$1${folder}/`)));
}

export function assertRefused(
  { failure, text }: Outcome,
  { code, says, suggests = true }: Omit<BadInput, 'name' | 'words'>,
  folder: string,
): void {
  assert.ok(failure, 'the command fails');
  const shown = text.replaceAll(`${folder}/`, '@');
  assert.equal(failure.code, code, shown);
  assert.equal(failure.exitCode, 2, shown);
  for (const part of says)
    assert.ok(typeof part === 'string' ? shown.includes(part) : part.test(shown), `${shown}\n\n${part}`);
  assert.equal(failure.suggestions.length > 0, suggests, `whether something to do is suggested:\n${shown}`);
  assert.doesNotMatch(shown, /^\s+at /m, 'no stack');
}

/** Every path below a folder with what is there. */
export async function snapshot(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const contents = entries.map(async (entry): Promise<[string, string]> => {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) return [path, 'folder'];
    return [path, entry.isSymbolicLink() ? await readlink(path) : await contentOf(path)];
  });
  return Object.fromEntries((await Promise.all(contents)).sort());
}

/** A file that a row has made unreadable is compared by its name alone. */
async function contentOf(path: string): Promise<string> {
  return readFile(path).then(
    (bytes) => sha256(bytes),
    () => 'unreadable',
  );
}

export const tokenizerFolder = fileURLToPath(new URL('../../fixtures/tasks/tokenizer', import.meta.url));

export const modelJson: Readonly<Record<string, unknown>> = {
  architectures: ['BertForSequenceClassification'],
  model_type: 'bert',
  vocab_size: 280,
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 16,
  max_position_embeddings: 32,
  id2label: { 0: 'negative', 1: 'positive' },
};

/** Weights that fit a config.json. */
export function weightsOf(json: Readonly<Record<string, unknown>>): Map<string, Tensor<'float32'>> {
  let next = 0;
  const value = () => Math.sin(next++) / 8;
  return new Map(
    bertTensors(parseConfig(json, 'config.json')).map(({ name, dims }) => {
      const data = Float32Array.from({ length: elementCount(dims) }, value);
      return [name, tensor('float32', dims, data)];
    }),
  );
}

/** A checkpoint folder; `change` may alter, drop or add weights. */
export async function writeModel(
  dir: string,
  json: Readonly<Record<string, unknown>> = {},
  change: (weights: Map<string, Tensor>) => void = () => undefined,
): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    await cp(join(tokenizerFolder, name), join(dir, name));
  const config = { ...modelJson, ...json };
  await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  const weights = new Map<string, Tensor>(weightsOf(config));
  change(weights);
  await writeSafetensors(join(dir, 'model.safetensors'), weights);
}

const goodRows = ['the screen is superb\t1', 'the app is useless\t0', 'a clever filter\t1', 'the hinge is sloppy\t0'];

/** An SST-2 folder with the given training rows. */
export async function writeTask(dir: string, train: readonly string[] = goodRows): Promise<void> {
  await mkdir(dir, { recursive: true });
  const text = (rows: readonly string[]) => ['sentence\tlabel', ...rows, ''].join('\n');
  await writeFile(join(dir, 'train.tsv'), text(train));
  await writeFile(join(dir, 'dev.tsv'), text(goodRows));
}

/** A good model in `model` and good data in `data`. */
export async function goodInput(folder: string): Promise<void> {
  await writeModel(join(folder, 'model'));
  await writeTask(join(folder, 'data'));
}

export const goodData = ['--data', '@data', '--task', 'sst2'];

/** A finetuning of that model that takes two short steps, without its --out. */
export const finetuningTo = [
  ...['finetune', '--model', '@model', ...goodData],
  ...['--epochs', '2', '--batch', '4', '--max-length', '16', '--device', 'cpu', '--out'],
];

export const finetuning = [...finetuningTo, '@out'];

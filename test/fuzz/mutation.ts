/** From a seed to one mutated file in a folder, and what is to be read there. */
import { seeded } from '../support/seeded.ts';
import { mutateBytes } from './byte-mutations.ts';
import type { Corpus, Files } from './corpus.ts';
import { pick, type Random } from './hostile-values.ts';
import { mutateJson } from './json-mutations.ts';
import { mutateExternal, mutateModel } from './model-mutations.ts';
import { mutateSafetensors } from './safetensors-mutations.ts';
import { mutateWire } from './wire-mutations.ts';

export type Kind =
  | 'model'
  | 'external'
  | 'exported'
  | 'safetensors'
  | 'config'
  | 'tokenizer'
  | 'tokenizerConfig'
  | 'vocabulary'
  | 'merges';

export interface Mutation {
  readonly seed: number;
  readonly kind: Kind;
  /** In words. */
  readonly what: string;
  /** The mutated file. */
  readonly path: string;
  readonly files: Files;
}

type Mutate = (bytes: Uint8Array, random: Random) => { bytes: Uint8Array; what: string };

const mutateJsonFile: Mutate = (bytes, random) => {
  const { text, what } = mutateJson(Buffer.from(bytes).toString('utf8'), random);
  return { bytes: Buffer.from(text), what };
};

/** Most places of a tokenizer are words of its vocabulary: this leaves them out. */
const mutateTokenizer: Mutate = (bytes, random) => {
  const { model, ...rest } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { model: { vocab: unknown } };
  const { vocab, ...settings } = model;
  const { text, what } = mutateJson(JSON.stringify({ ...rest, model: settings }), random);
  return { bytes: Buffer.from(text.replace(/("model":\{)/, `$1"vocab":${JSON.stringify(vocab)},`)), what };
};

const kinds: Readonly<Record<Kind, { corpus: (keyof Corpus)[]; path: string; mutate: readonly Mutate[] }>> = {
  model: { corpus: ['everything'], path: 'model.onnx', mutate: [mutateBytes, mutateWire, mutateModel, mutateModel] },
  external: { corpus: ['external'], path: 'model.onnx', mutate: [mutateExternal, mutateExternal, mutateModel] },
  exported: {
    corpus: ['exported'],
    path: 'onnx/model.onnx',
    mutate: [mutateBytes, mutateWire, mutateModel, mutateExternal],
  },
  safetensors: {
    corpus: ['checkpoint'],
    path: 'model.safetensors',
    mutate: [mutateBytes, mutateSafetensors, mutateSafetensors],
  },
  config: {
    corpus: ['checkpoint', 'exported', 'roberta'],
    path: 'config.json',
    mutate: [mutateBytes, mutateJsonFile, mutateJsonFile],
  },
  tokenizer: {
    corpus: ['checkpoint', 'exported'],
    path: 'tokenizer.json',
    mutate: [mutateBytes, mutateJsonFile, mutateTokenizer],
  },
  tokenizerConfig: {
    corpus: ['checkpoint'],
    path: 'tokenizer_config.json',
    mutate: [mutateBytes, mutateJsonFile],
  },
  vocabulary: { corpus: ['roberta'], path: 'vocab.json', mutate: [mutateBytes, mutateJsonFile] },
  merges: { corpus: ['roberta'], path: 'merges.txt', mutate: [mutateBytes] },
};

/** Equal seeds give equal mutations. */
export function mutationOf(seed: number, corpus: Corpus): Mutation {
  const random = seeded(seed);
  const kind = pick(random, Object.keys(kinds)) as Kind;
  const { corpus: sources, path, mutate } = kinds[kind];
  const files = corpus[pick(random, sources) as keyof Corpus];
  const { bytes, what } = (pick(random, mutate) as Mutate)(files.get(path) as Uint8Array, random);
  return { seed, kind, what, path, files: new Map([...files, [path, bytes]]) };
}

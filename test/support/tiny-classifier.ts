/** A small classifier with random weights and the tokenizer of fixtures/tasks, as a checkpoint folder. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseConfig, saveCheckpoint, type BertConfig } from '../../src/checkpoint/index.ts';
import { randomStream } from '../../src/data/index.ts';
import { classifierParameters, initialValue, toCheckpoint } from '../../src/nn/index.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/tasks/', import.meta.url));

/** GLUE folder in the layout of SST-2. */
export const reviewsFolder = join(fixtures, 'reviews');
export const tokenizerFolder = join(fixtures, 'tokenizer');

export const tinyClassifierJson: Readonly<Record<string, unknown>> = {
  model_type: 'bert',
  vocab_size: 300,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 24,
  max_position_embeddings: 160,
  initializer_range: 0.3,
  id2label: { 0: 'negative', 1: 'positive' },
};

/** With it, sentences get both labels. */
const defaultSeed = 8;

export interface TinyOptions {
  /** Changes of config.json. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly seed?: number;
  /** Folder of another tokenizer. */
  readonly tokenizer?: string;
  /** Only vocab.txt in place of tokenizer.json and tokenizer_config.json. */
  readonly vocabularyOnly?: boolean;
}

/** A RoBERTa with the tokenizer of fixtures/golden, vocab.json and merges.txt. */
export const tinyRoberta: TinyOptions = {
  config: { model_type: 'roberta', vocab_size: 420, type_vocab_size: 1, max_position_embeddings: 162, pad_token_id: 1 },
  tokenizer: fileURLToPath(new URL('../../fixtures/golden/tokenizer/roberta', import.meta.url)),
};

/** Gone after the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'kdx-test-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Writes the folder; LayerNorm and biases are drawn too, so that every parameter matters. */
export async function writeTinyClassifier(dir: string, options: TinyOptions = {}): Promise<BertConfig> {
  const config = parseConfig({ ...tinyClassifierJson, ...options.config }, 'config.json');
  const random = randomStream(options.seed ?? defaultSeed, 'tiny classifier');
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.nextFloat())) * Math.cos(2 * Math.PI * random.nextFloat());
  const weights = new Map(
    classifierParameters(config, config.labels.length).map((parameter) => {
      const value = initialValue(parameter, config.initializerRange, normal);
      if (parameter.kind === 'bias' || parameter.kind === 'scale')
        for (let i = 0; i < value.data.length; i++) value.data[i]! += 0.1 * normal();
      return [parameter.name, toCheckpoint(parameter, value)] as const;
    }),
  );
  const tokenizerFrom = options.vocabularyOnly ? undefined : (options.tokenizer ?? tokenizerFolder);
  await saveCheckpoint(dir, { config, weights, ...(tokenizerFrom && { tokenizerFrom }) });
  if (options.vocabularyOnly) await writeFile(join(dir, 'vocab.txt'), await vocabulary());
  return config;
}

async function vocabulary(): Promise<string> {
  const json = JSON.parse(await readFile(join(tokenizerFolder, 'tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number> };
  };
  const tokens = Object.entries(json.model.vocab).sort(([, a], [, b]) => a - b);
  return tokens.map(([token]) => `${token}\n`).join('');
}

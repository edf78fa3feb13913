/** A small masked language model with random weights and the tokenizer of fixtures/tasks, as a checkpoint folder. */
import { loadCheckpoint, parseConfig, saveCheckpoint, type Checkpoint } from '../../src/checkpoint/index.ts';
import {
  loadTokenizer,
  randomStream,
  wordTokenizer,
  type Tokenizer,
  type WordTokenizer,
} from '../../src/data/index.ts';
import { encoderParameters, initialValue, maskedLmParameters, toCheckpoint } from '../../src/nn/index.ts';
import { tinyClassifierJson, tokenizerFolder } from '../support/tiny-classifier.ts';

export interface TinyModel {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly words: WordTokenizer;
}

/** @param head false leaves the head of the masked language model out */
export async function tinyModel(dir: string, head = true, changes: Record<string, unknown> = {}): Promise<TinyModel> {
  const { id2label: _labels, ...json } = { ...tinyClassifierJson, ...changes };
  const config = parseConfig(json, 'config.json');
  const random = randomStream(3, 'tiny masked language model');
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.nextFloat())) * Math.cos(2 * Math.PI * random.nextFloat());
  const weights = new Map(
    [...encoderParameters(config), ...(head ? maskedLmParameters(config) : [])].map((parameter) => {
      const value = initialValue(parameter, config.initializerRange, normal);
      if (parameter.kind === 'bias') for (let i = 0; i < value.data.length; i++) value.data[i] = normal() / 2;
      return [parameter.name, toCheckpoint(parameter, value)] as const;
    }),
  );
  const kind = head ? 'masked-lm' : 'encoder';
  await saveCheckpoint(dir, { config, kind, weights, tokenizerFrom: tokenizerFolder });
  const tokenizer = await loadTokenizer(dir);
  return { checkpoint: await loadCheckpoint(dir), tokenizer, words: wordTokenizer(tokenizer) };
}

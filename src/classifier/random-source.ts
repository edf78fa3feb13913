/** A classifier with random weights, to measure the speed and size of an architecture without a checkpoint. */
import type { Checkpoint } from '../checkpoint/index.ts';
import { normalSource, randomStream, tokenizerOfVocabulary, type Random, type Tokenizer } from '../data/index.ts';
import type { Tensor } from '../graph/index.ts';
import { checkpointShape, classifierParameters, initialValue, type NormalSource } from '../nn/index.ts';
import { configOfRef } from './named-config.ts';

/** Of every such model: the same reference gives the same bytes. */
const SEED = 0;

/**
 * Matrices are drawn from N(0, initializer_range), biases are 0, LayerNorm scales 1, as before a training.
 * @throws KdxError of configOfRef
 */
export async function randomCheckpoint(ref: string): Promise<Checkpoint> {
  const config = await configOfRef(ref);
  const normal = quickNormal(randomStream(SEED, 'random classifier'));
  const weights = new Map<string, Tensor<'float32'>>();
  for (const parameter of classifierParameters(config, config.labels.length)) {
    const stored = { ...parameter, shape: checkpointShape(parameter) };
    weights.set(parameter.name, initialValue(stored, config.initializerRange, normal));
  }
  const head = { hasPooler: true, hasHead: true, hasMaskedLmHead: false };
  return { dir: '', config, weights, extra: new Map(), ...head, tokenizerFiles: [] };
}

/** Sums of two of 2^16 normal numbers: normal enough, and ten times as fast as a transform for each. */
function quickNormal(random: Random): NormalSource {
  const table = Float64Array.from({ length: 2 ** 16 }, normalSource(random));
  const drawn = new Uint16Array(2 ** 13);
  let used = drawn.length;
  return () => {
    if (used === drawn.length) {
      random.fillUint16(drawn);
      used = 0;
    }
    return Math.SQRT1_2 * ((table[drawn[used++] as number] as number) + (table[drawn[used++] as number] as number));
  };
}

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789.,;:!?\'"()-';
const spelling = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...letters, ...[...letters].map((c) => `##${c}`)];

/**
 * A vocabulary of the size that a configuration wants, in which texts are spelt letter by letter.
 * @throws KdxError `invalid-vocabulary` when it has no room for the special tokens
 */
export function letterTokenizer(vocabSize: number): Tokenizer {
  return tokenizerOfVocabulary(Array.from({ length: vocabSize }, (_, id) => spelling[id] ?? `[unused${id}]`));
}

/** Whether a tokenizer is one of `letterTokenizer`, as an export of random weights has it. */
export function isLetterTokenizer({ tokens }: Pick<Tokenizer, 'tokens'>): boolean {
  return spelling.every((token, id) => tokens[id] === token);
}

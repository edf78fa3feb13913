/** Candidates from a masked language model: the words it expects in place of each word of a sentence. */
import { BATCH, SEQUENCE } from 'kdx/classifier';
import type { Checkpoint } from 'kdx/checkpoint';
import { bucketing, collate, encodedLengths, planBatches, type EncodedExamples, type Tokenizer } from 'kdx/data';
import type { Session } from 'kdx/engine';
import { internal } from 'kdx/errors';
import { modelOf, tensor, withoutUnreadInputs, type Model, type Tensor } from 'kdx/graph';
import {
  bertEncoder,
  bertInputs,
  encoderParameters,
  fromCheckpoint,
  maskedLmHead,
  maskedLmParameters,
  type ParameterSource,
} from 'kdx/nn';
import { GraphBuilder } from 'kdx/ops';
import { largest } from './largest.ts';

/** `original`: the unmasked sentence is the second segment (TinyBERT's code). `masked-only`: it is not (Algorithm 1). */
export type Visibility = 'original' | 'masked-only';

/** A sequence with one masked piece. */
export interface MaskedRow {
  readonly ids: readonly number[];
  readonly typeIds: readonly number[];
  /** Of the mask. */
  readonly position: number;
}

/** What the rows of a model look like. */
export interface RowLayout {
  readonly clsId: number;
  readonly sepId: number;
  readonly maskId: number;
  readonly visible: Visibility;
  /** Segment of the visible original: 0 in a model with fewer than two. */
  readonly secondType: 0 | 1;
  /** Longer rows are cut. */
  readonly maxLength: number;
}

/**
 * `[CLS] sentence with a mask [SEP]`, and `sentence [SEP]` as the second segment where the original is visible.
 * @param pieces of each word
 * @param at word to be masked, of one piece
 * @returns undefined when the mask would be cut off
 */
export function maskedRow(
  pieces: readonly (readonly number[])[],
  at: number,
  { clsId, sepId, maskId, visible, secondType, maxLength }: RowLayout,
): MaskedRow | undefined {
  const position = 1 + pieces.slice(0, at).flat().length;
  if (position >= maxLength) return undefined;
  const sentence = pieces.flat();
  const first = [clsId, ...sentence.with(position - 1, maskId), sepId];
  const second = visible === 'original' ? [...sentence, sepId] : [];
  return {
    ids: [...first, ...second].slice(0, maxLength),
    typeIds: [...first.map(() => 0), ...second.map(() => secondType)].slice(0, maxLength),
    position,
  };
}

/**
 * Inputs of a BERT, int64 [batch_size, sequence_length], and `positions`, int64 [batch_size]: the place of each row's
 * mask in batch · sequence. Output logits [batch_size, vocabulary] at the masks.
 */
export function maskedLmModel({ config, weights }: Pick<Checkpoint, 'config' | 'weights'>): Model {
  const g = new GraphBuilder();
  const inputs = bertInputs(g, [BATCH, SEQUENCE]);
  const positions = g.input('positions', 'int64', [BATCH]);
  const values = new Map(
    [...encoderParameters(config), ...maskedLmParameters(config)].map((parameter) => {
      const value = fromCheckpoint(parameter, weights.get(parameter.name) as Tensor<'float32'>);
      return [parameter.name, g.initializer(parameter.name, value)];
    }),
  );
  const parameter: ParameterSource = (name) => {
    const value = values.get(name);
    if (value === undefined) throw internal(`the masked language model has no parameter ${name}`);
    return value;
  };
  const hidden = bertEncoder(g, config, parameter, inputs).hiddenStates.at(-1);
  if (hidden === undefined) throw internal('an encoder has hidden states');
  const rows = g.reshape(hidden, [-1, config.hiddenSize]);
  g.output('logits', maskedLmHead(g, config, parameter, g.op('Gather', [rows, positions], { axis: 0 })));
  return modelOf(withoutUnreadInputs(g.build('masked-lm')));
}

export interface MaskedLmOptions {
  /** Largest logits that are looked at, before pieces and special tokens are left out. */
  readonly count: number;
  /** Rows per run. */
  readonly batch: number;
  readonly maxLength: number;
  readonly signal?: AbortSignal | undefined;
}

/** The words of each row with the largest logits, the largest first. Rows of similar length are run together. */
export async function maskedWords(
  session: Session,
  tokenizer: Tokenizer,
  rows: readonly MaskedRow[],
  { count, batch, maxLength, signal }: MaskedLmOptions,
): Promise<string[][]> {
  const encoded = encodeRows(rows, tokenizer.padId);
  const found: string[][] = rows.map(() => []);
  const plan = planBatches({ lengths: encodedLengths(encoded), batchSize: batch, bucket: bucketing(maxLength) });
  for (const planned of plan) {
    signal?.throwIfAborted();
    const places = planned.indices.map((index, row) => row * planned.length + (rows[index] as MaskedRow).position);
    const positions = tensor('int64', [places.length], BigInt64Array.from(places, BigInt));
    const inputs: Readonly<Record<string, Tensor>> = { ...collate(encoded, planned), positions };
    // A model without token types has no such input.
    const feeds = Object.fromEntries(session.inputs.map((input) => [input, inputs[input] as Tensor]));
    const logits = (await session.run({ feeds, fetch: ['logits'] }))['logits'] as Tensor<'float32'>;
    const vocabulary = logits.dims[1] as number;
    for (const [row, index] of planned.indices.entries())
      found[index] = wordsOf(largest(logits.data.subarray(row * vocabulary, (row + 1) * vocabulary), count), tokenizer);
  }
  return found;
}

/** Without continuing pieces and special tokens; fewer than were looked at, where there are such. */
function wordsOf(ids: readonly number[], tokenizer: Tokenizer): string[] {
  const { padId, unkId, clsId, sepId, maskId } = tokenizer;
  const special = [padId, unkId, clsId, sepId, maskId];
  return ids.flatMap((id) => {
    const token = tokenizer.tokens[id];
    return token === undefined || special.includes(id) || token.startsWith('##') ? [] : [token];
  });
}

function encodeRows(rows: readonly MaskedRow[], padId: number): EncodedExamples {
  const offsets = new Int32Array(rows.length + 1);
  for (const [i, { ids }] of rows.entries()) offsets[i + 1] = (offsets[i] as number) + ids.length;
  return {
    count: rows.length,
    ids: Int32Array.from(rows.flatMap(({ ids }) => ids)),
    typeIds: Uint8Array.from(rows.flatMap(({ typeIds }) => typeIds)),
    offsets,
    labels: new Float64Array(rows.length),
    padId,
  };
}

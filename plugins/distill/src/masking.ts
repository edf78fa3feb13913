/** Tokens to be predicted by a masked language model, drawn anew for each batch on the host. */
import { z } from 'zod';
import type { EncodedExamples, Random } from 'kdx/data';
import { internal } from 'kdx/errors';
import { tensor, type Tensor } from 'kdx/graph';
import type { Bucket } from 'kdx/train';

const share = z.number().min(0).max(1);

/** Defaults: BERT (Devlin et al. 2019, section 3.1). */
export const maskingSchema = z
  .strictObject({
    /** Part of the tokens to predict; 0 means none. */
    probability: share.default(0.15),
    /** Part of these that is replaced by [MASK], and that is kept; the rest becomes any token of the vocabulary. */
    maskShare: share.default(0.8),
    keepShare: share.default(0.1),
    /**
     * `uniform`: probability times length in each sequence, at least one (BERT); `rare`: as many of the whole batch,
     * rare tokens rather than frequent ones (DistilBERT, after XLM).
     */
    selection: z.enum(['uniform', 'rare']).default('uniform'),
    /** Of `uniform`; BERT's, for sequences of 128 tokens. */
    maxPerSequence: z.number().int().positive().default(20),
  })
  .superRefine(({ maskShare, keepShare }, context) => {
    // 0.9 + 0.1 and the like may come out a little above 1.
    if (maskShare + keepShare > 1 + 1e-9)
      context.addIssue({
        code: 'custom',
        path: ['keepShare'],
        message: `expected at most 1 - maskShare, found ${keepShare} with a maskShare of ${maskShare}`,
      });
  });

export type MaskingOptions = z.infer<typeof maskingSchema>;

/** What masking knows of the tokens. */
export interface MaskingVocabulary {
  readonly size: number;
  readonly maskId: number;
  /** Never chosen. */
  readonly specialIds: readonly number[];
  /** How often each id occurs in the training data, see `tokenCounts`; `rare` needs them. */
  readonly counts?: ArrayLike<number>;
}

export interface MaskingBatch {
  readonly bucket: Bucket;
  /** Rows that are examples; nothing is drawn in the filler rows after them. */
  readonly examples: number;
  /** int64 [rows, length] */
  readonly inputIds: Tensor<'int64'>;
  /** int64 [rows, length], 1 for a token, 0 for padding. */
  readonly attentionMask: Tensor<'int64'>;
  readonly vocabulary: MaskingVocabulary;
  random(name: string): Random;
}

/** Feeds of the graph inputs that `maskedTokens` declares. K is the capacity of the bucket. */
export type MaskingFeeds = {
  /** int64 [rows, length] */
  readonly masked_ids: Tensor<'int64'>;
  /** int64 [K], row · length + position; rising, then 0 where nothing was drawn. */
  readonly masked_positions: Tensor<'int64'>;
  /** int64 [K], ids of the tokens that were there. */
  readonly masked_targets: Tensor<'int64'>;
  /** float32 [K], 1 for a drawn token, 0 for filler. */
  readonly masked_weights: Tensor<'float32'>;
};

/** Most tokens that can be drawn in a batch of this size, at least 1: the step graph has a fixed shape. */
export function maskingCapacity(options: MaskingOptions, { rows, length }: Bucket): number {
  const most = options.selection === 'uniform' ? rows * perSequence(options, length) : perBatch(options, rows * length);
  return Math.max(1, most);
}

export function drawMasking(options: MaskingOptions, batch: MaskingBatch): MaskingFeeds {
  const random = batch.random('masking');
  const chosen =
    options.selection === 'uniform' ? drawUniform(options, batch, random) : drawRare(options, batch, random);
  chosen.sort((a, b) => a - b);
  const capacity = maskingCapacity(options, batch.bucket);
  const ids = batch.inputIds.data.slice();
  const positions = new BigInt64Array(capacity);
  const targets = new BigInt64Array(capacity);
  for (const [i, position] of chosen.entries()) {
    const token = ids[position] as bigint;
    positions[i] = BigInt(position);
    targets[i] = token;
    ids[position] = BigInt(replacement(options, batch.vocabulary, Number(token), random));
  }
  return {
    masked_ids: tensor('int64', batch.inputIds.dims, ids),
    masked_positions: tensor('int64', [capacity], positions),
    masked_targets: tensor('int64', [capacity], targets),
    masked_weights: tensor('float32', [capacity], new Float32Array(capacity).fill(1, 0, chosen.length)),
  };
}

/** Occurrences of each id below `size`. */
export function tokenCounts({ ids }: Pick<EncodedExamples, 'ids'>, size: number): Uint32Array {
  const counts = new Uint32Array(size);
  for (const id of ids) counts[id]!++;
  return counts;
}

/** Tokens to draw of a sequence with so many tokens, special ones included. */
function perSequence({ probability, maxPerSequence }: MaskingOptions, tokens: number): number {
  return probability === 0 ? 0 : Math.min(maxPerSequence, Math.max(1, Math.round(tokens * probability)));
}

/** Tokens to draw of a batch with so many tokens. */
function perBatch({ probability }: MaskingOptions, tokens: number): number {
  return Math.ceil(tokens * probability);
}

/** Equally likely in each sequence. */
function drawUniform(options: MaskingOptions, batch: MaskingBatch, random: Random): number[] {
  return rowsOf(batch).flatMap(({ tokens, candidates }) =>
    random.shuffle(candidates).slice(0, perSequence(options, tokens)),
  );
}

/**
 * Without replacement, with probability proportional to max(count, 1)^-0.7: the smallest of exponential variables with
 * these rates (Efraimidis & Spirakis 2006).
 */
function drawRare(options: MaskingOptions, batch: MaskingBatch, random: Random): number[] {
  const { counts } = batch.vocabulary;
  if (!counts) throw internal('selection rare needs token counts');
  const rows = rowsOf(batch);
  const tokens = rows.reduce((sum, row) => sum + row.tokens, 0);
  const arrivals = rows.flatMap(({ candidates }) =>
    candidates.map((position) => {
      const rate = Math.max(counts[Number(batch.inputIds.data[position])] ?? 0, 1) ** -0.7;
      return { position, time: -Math.log(1 - random.nextFloat()) / rate };
    }),
  );
  arrivals.sort((a, b) => a.time - b.time);
  return arrivals.slice(0, perBatch(options, tokens)).map(({ position }) => position);
}

interface Row {
  /** Tokens of the sequence, special ones included. */
  readonly tokens: number;
  /** Flat positions of the tokens that may be chosen. */
  readonly candidates: number[];
}

function rowsOf({ bucket, examples, inputIds, attentionMask, vocabulary }: MaskingBatch): Row[] {
  const special = new Set(vocabulary.specialIds.map(BigInt));
  return Array.from({ length: examples }, (_, row) => {
    const positions = Array.from({ length: bucket.length }, (_, i) => row * bucket.length + i);
    const tokens = positions.filter((position) => attentionMask.data[position] === 1n);
    const candidates = tokens.filter((position) => !special.has(inputIds.data[position] as bigint));
    return { tokens: tokens.length, candidates };
  });
}

function replacement(options: MaskingOptions, vocabulary: MaskingVocabulary, token: number, random: Random): number {
  const u = random.nextFloat();
  if (u < options.maskShare) return vocabulary.maskId;
  return u < options.maskShare + options.keepShare ? token : random.int(vocabulary.size);
}

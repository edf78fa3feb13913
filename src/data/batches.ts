/** Which examples go together: batches of similar length, in an order that only the seed decides. */
import { internal } from '../errors/index.ts';
import { randomStream } from './random.ts';

export interface Batch {
  /** Examples of the batch; fewer than the batch size in at most one batch. */
  readonly indices: readonly number[];
  /** Length to pad to. */
  readonly length: number;
}

export interface BatchPlan {
  /** Tokens of each example. */
  readonly lengths: ArrayLike<number>;
  readonly batchSize: number;
  /** Padded length for a length, from `bucketing`. */
  readonly bucket: (length: number) => number;
  /** Order by this seed and epoch; without it all examples are sorted by length (evaluation). */
  readonly shuffle?: { readonly seed: number; readonly epoch: number };
  /** Batches per chunk of examples that is sorted by length, default 50. */
  readonly sortWithin?: number;
}

/**
 * The default padded lengths: multiples of 8 up to 64, of 16 up to 128, of 32 beyond, never above `maxLength`.
 * Few different lengths mean few step graphs.
 */
export function bucketing(maxLength: number): (length: number) => number {
  return (length) => {
    if (length > maxLength) throw internal(`an example of ${length} tokens, at most ${maxLength} are allowed`);
    const step = length <= 64 ? 8 : length <= 128 ? 16 : 32;
    return Math.min(maxLength, Math.ceil(length / step) * step);
  };
}

/** Batches that hold every example exactly once. The same arguments give the same plan. */
export function planBatches({ lengths, batchSize, bucket, shuffle, sortWithin = 50 }: BatchPlan): Batch[] {
  const order = Array.from({ length: lengths.length }, (_, i) => i);
  const lengthOf = (index: number) => lengths[index] as number;
  const chunks: number[][] = [];
  const random = shuffle && randomStream(shuffle.seed, 'batches', shuffle.epoch);
  random?.shuffle(order);
  const chunkSize = random === undefined ? order.length : sortWithin * batchSize;
  for (let i = 0; i < order.length; i += chunkSize) chunks.push(order.slice(i, i + chunkSize));
  const batches = chunks.flatMap((chunk) => {
    chunk.sort((a, b) => lengthOf(a) - lengthOf(b)); // stable: equal lengths stay shuffled
    const cut: Batch[] = [];
    for (let i = 0; i < chunk.length; i += batchSize) {
      const indices = chunk.slice(i, i + batchSize);
      cut.push({ indices, length: bucket(lengthOf(indices.at(-1) as number)) });
    }
    return cut;
  });
  return random === undefined ? batches : random.shuffle(batches);
}

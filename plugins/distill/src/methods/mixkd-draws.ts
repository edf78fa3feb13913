/** The draws of MixKD on the host: which examples of a batch are mixed, and in which shares. */
import { betaSource, type Random } from 'kdx/data';
import { tensor, type Tensor } from 'kdx/graph';
import type { DrawnBatch } from './method.ts';

export interface PairOptions {
  readonly alpha: number;
  readonly lambdas: 'beta' | 'binary';
  readonly lambdaPer: 'pair' | 'batch';
  readonly lambdaMax: boolean;
  readonly pairing: 'permutation' | 'rotation';
  readonly mixRatio: number;
}

/** Rows of the mixed batch that belong to `rows` rows of the plain one, at least 1. */
export function mixedRows(mixRatio: number, rows: number): number {
  return Math.max(1, Math.round(mixRatio * rows));
}

/**
 * Row m of the mixed batch is λ·row[m] + (1-λ)·partner[m] of the plain one; all tensors are [mixed rows]. Filler rows
 * of the plain batch are never drawn. The rows that the mixed batch has too many are plain ones of weight 0.
 */
export function drawPairs(
  options: PairOptions,
  { bucket, examples, random }: Pick<DrawnBatch, 'bucket' | 'examples' | 'random'>,
): Record<'mix_row' | 'mix_partner' | 'mix_lambda' | 'mix_weights', Tensor> {
  const rows = mixedRows(options.mixRatio, bucket.rows);
  const count = mixedRows(options.mixRatio, examples);
  const row = BigInt64Array.from({ length: rows }, (_, m) => BigInt(m % bucket.rows));
  const partner = row.slice();
  const lambda = new Float32Array(rows).fill(1);
  const pairs = random('mixkd pairs');
  const nextLambda = lambdaSource(options, random('mixkd lambdas'));
  for (let start = 0; start < count; start += examples) {
    const partners = partnersOf(options.pairing, examples, pairs);
    const size = Math.min(examples, count - start);
    const firsts = size === examples ? range(examples) : pairs.shuffle(range(examples)).slice(0, size);
    const shared = options.lambdaPer === 'batch' ? nextLambda() : undefined;
    for (const [i, first] of firsts.entries()) {
      row[start + i] = BigInt(first);
      partner[start + i] = BigInt(partners[first] as number);
      lambda[start + i] = shared ?? nextLambda();
    }
  }
  return {
    mix_row: tensor('int64', [rows], row),
    mix_partner: tensor('int64', [rows], partner),
    mix_lambda: tensor('float32', [rows], lambda),
    mix_weights: tensor('float32', [rows], new Float32Array(rows).fill(1, 0, count)),
  };
}

/** Partner of each example. A permutation pairs one example with itself on average, a rotation none (if there are 2). */
function partnersOf(pairing: PairOptions['pairing'], examples: number, random: Random): number[] {
  const order = random.shuffle(range(examples));
  if (pairing === 'permutation' || examples === 1) return order;
  const offset = 1 + random.int(examples - 1);
  const partners = new Array<number>(examples);
  order.forEach((example, i) => (partners[example] = order[(i + offset) % examples] as number));
  return partners;
}

function lambdaSource({ lambdas, alpha, lambdaMax }: PairOptions, random: Random): () => number {
  const draw = lambdas === 'binary' ? () => random.int(2) : betaSource(random, alpha);
  if (!lambdaMax) return draw;
  return () => {
    const lambda = draw();
    return Math.max(lambda, 1 - lambda);
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

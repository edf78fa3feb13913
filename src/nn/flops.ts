/** Analytic compute and parameter counts of BERT-like classifiers. */
import { physicalLayers, type BertArchitecture } from './architecture.ts';

/** The sizes of a BERT-like encoder, in the words of the papers. */
export interface BertSizes {
  /** Layers with parameters of their own. */
  readonly layers: number;
  /** Layers that are run: more than `layers` when parameters are shared; default `layers`. */
  readonly depth?: number;
  /** d */
  readonly hidden: number;
  /** Width of the feed-forward part, d_ff. */
  readonly intermediate: number;
  /** Outputs of the classifier; default 0, no classifier. */
  readonly labels?: number;
}

export interface BertTables {
  readonly vocabulary: number;
  readonly positions: number;
  readonly types: number;
}

/** Tables of the English uncased BERT models. */
export const bertTables: BertTables = { vocabulary: 30522, positions: 512, types: 2 };

/**
 * Floating-point operations for one sequence of `length` tokens: a multiply-add counts 2, only matrix products count
 * (projections, feed-forward, the two products of attention, pooler, classifier), embeddings and elementwise
 * operations are free:
 *
 *     depth (2 L (4 d^2 + 2 d d_ff) + 4 L^2 d) + 2 d^2 + 2 d labels
 *
 * The published figures for length 128 follow this convention (TinyBERT, table 1): BERT-base 22.5 G (here 22.35 G), 6
 * layers 11.3 G (11.18 G), 4 layers of 312 1.2 G (1.247 G; printed with two digits).
 */
export function bertFlops(
  { layers, depth = layers, hidden, intermediate, labels = 0 }: BertSizes,
  length: number,
): number {
  const products = 2 * length * (4 * hidden ** 2 + 2 * hidden * intermediate);
  const attention = 4 * length ** 2 * hidden;
  return depth * (products + attention) + 2 * hidden ** 2 + 2 * hidden * labels;
}

/** The same for a classifier as it is configured; a shared layer counts as often as it runs. */
export function classifierFlops(architecture: BertArchitecture, labels: number, length: number): number {
  const { hiddenSize: hidden, intermediateSize: intermediate, layerPlan } = architecture;
  return bertFlops(
    { layers: physicalLayers(architecture), depth: layerPlan.length, hidden, intermediate, labels },
    length,
  );
}

/** Exact parameter counts, each unique tensor once. */
export interface BertParameters {
  readonly embeddings: number;
  /** One layer. */
  readonly layer: number;
  readonly pooler: number;
  readonly classifier: number;
  readonly total: number;
}

/** Counts weights, biases and LayerNorm parameters; BERT-base without a classifier has 109 482 240. */
export function bertParameters(
  { layers, hidden, intermediate, labels = 0 }: BertSizes,
  { vocabulary, positions, types }: BertTables = bertTables,
): BertParameters {
  const layerNorm = 2 * hidden;
  const dense = (from: number, to: number): number => from * to + to;
  const embeddings = (vocabulary + positions + types) * hidden + layerNorm;
  const layer = 4 * dense(hidden, hidden) + dense(hidden, intermediate) + dense(intermediate, hidden) + 2 * layerNorm;
  const pooler = dense(hidden, hidden);
  const classifier = labels > 0 ? dense(hidden, labels) : 0;
  return { embeddings, layer, pooler, classifier, total: embeddings + layers * layer + pooler + classifier };
}

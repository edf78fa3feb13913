/**
 * Transformer distillation of TinyBERT (Jiao et al. 2020, eq. 7 to 9): squared errors of embedding outputs, hidden
 * states and attention scores, each a mean of elements within a layer and a sum over layers,
 * L = Σ_{m=0..M} MSE(H_S[m]·W + b, H_T[g(m)]) + Σ_{m=1..M} MSE(A_S[m], A_T[g(m)]),  A = QKᵀ/√d before softmax.
 * The logits' term is another method, `prediction`.
 */
import { z } from 'zod';
import { linear, linearParameters, weightedMean } from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';
import { layerMap, layerMapProblem } from '../layer-map.ts';
import { tokenWeights } from '../token-weights.ts';
import { defineMethod, type MethodContext, type Model } from './method.ts';

const weight = z.number().min(0).default(1);

const options = z.strictObject({
  /** Weights of the terms; 0 switches a term off. */
  embedding: weight,
  hidden: weight,
  attention: weight,
  /** Layers compared: `uniform`, `top`, `bottom`, or the teacher's layer of each layer, counted from 1. */
  map: z
    .union([z.enum(['uniform', 'top', 'bottom']), z.array(z.number().int().min(1)).min(1)], {
      error: "expected uniform, top, bottom or the teacher's layer of each layer, counted from 1",
    })
    .default('uniform'),
  /**
   * One projection to the teacher's width for all hidden states (published code), one each (released models), or `none`
   * between equal widths: for a student that begins as a part of its teacher, in whose space it is already.
   */
  projection: z.enum(['shared', 'per-layer', 'none']).default('shared'),
  /**
   * `published`: means over all positions, padding among them; only scores of masked keys are 0 in both models.
   * `masked`: means over the batch's tokens, and over its pairs of tokens.
   */
  padding: z.enum(['published', 'masked']).default('published'),
});

type TransformerOptions = z.infer<typeof options>;

export const transformer = defineMethod({
  name: 'transformer',
  summary: "embeddings, hidden states and attention scores follow the teacher's",
  source: 'Jiao et al. 2020, arXiv 1909.10351, eq. 7 to 9',
  options,

  taps: () => ({ outputs: true }),

  problems: ({ embedding, hidden, attention, map, projection }, { student, teacher }) => {
    if (!teacher) return [];
    const problems: string[] = [];
    if (embedding + hidden + attention === 0)
      problems.push('embedding, hidden and attention are all 0: one of these weights must be positive');
    const unmapped = hidden + attention > 0 && layerMapProblem(map, student.layers, teacher.layers);
    if (unmapped) problems.push(unmapped);
    if (projection === 'none' && embedding + hidden > 0 && student.hiddenSize !== teacher.hiddenSize)
      problems.push(
        `projection=none needs a student of the teacher's width ${teacher.hiddenSize}, not ${student.hiddenSize}: ` +
          `leave it out, or set projection=shared`,
      );
    if (attention > 0 && student.heads !== teacher.heads)
      problems.push(
        `attention scores are compared head by head, but the student has ${student.heads} heads and the teacher ` +
          `${teacher.heads}: give the student heads=${teacher.heads}, or set attention=0`,
      );
    return problems;
  },

  parameters: ({ embedding, hidden, projection }, { student, teacher }) => {
    if (!teacher || projection === 'none') return [];
    const states = Array.from({ length: student.layers + 1 }, (_, m) => m);
    const compared = states.filter((m) => (m === 0 ? embedding : hidden) > 0);
    return [...new Set(compared.map((m) => projectionName(projection, m)))].flatMap((name) =>
      linearParameters(name, student.hiddenSize, teacher.hiddenSize),
    );
  },

  loss: (context, { map, projection, padding, ...weights }) => {
    const { g, student, teacher } = context;
    const error = meanSquares(context, padding);
    const state = (model: Model, index: number) => model.outputs.hiddenStates[index] as Value;
    // The embeddings have no scores: those of layer m are at m - 1.
    const scores = (model: Model, layer: number) => model.outputs.attentionScores[layer - 1] as Value;
    const hiddenError = (own: number, taught: number) => {
      const states = state(student, own);
      const fitted =
        projection === 'none' ? states : linear(g, states, context.parameter, projectionName(projection, own));
      return error.hidden(g.sub(fitted, state(teacher, taught)));
    };
    const attentionError = (own: number, taught: number) =>
      error.attention(g.sub(scores(student, own), scores(teacher, taught)));
    const overLayers = (term: (own: number, taught: number) => Value) => {
      const taught = layerMap(map, student.config.layers, teacher.config.layers);
      return taught.map((layer, i) => term(i + 1, layer)).reduce((sum, value) => g.add(sum, value));
    };
    const terms = {
      embedding: () => hiddenError(0, 0),
      hidden: () => overLayers(hiddenError),
      attention: () => overLayers(attentionError),
    };
    const active = (['embedding', 'hidden', 'attention'] as const).filter((term) => weights[term] > 0);
    const losses = active.map((term) => ({ term, loss: terms[term]() }));
    return {
      loss: losses.map(({ term, loss }) => g.scale(loss, weights[term])).reduce((sum, loss) => g.add(sum, loss)),
      metrics: Object.fromEntries(losses.map(({ term, loss }) => [`${term}_loss`, loss])),
    };
  },
});

/** Prefix of a projection's parameters, named as in the published checkpoints; `m` is the hidden state. */
function projectionName(projection: Exclude<TransformerOptions['projection'], 'none'>, m: number): string {
  return projection === 'shared' ? 'fit_dense' : `fit_denses.${m}`;
}

interface MeanSquares {
  /** Of differences [rows, length, width]. */
  hidden(difference: Value): Value;
  /** Of differences [rows, heads, queries, keys]. */
  attention(difference: Value): Value;
}

function meanSquares(context: MethodContext, padding: TransformerOptions['padding']): MeanSquares {
  const { g, inputs, weights } = context;
  const isKey = g.op('Unsqueeze', [g.op('Cast', [inputs.attentionMask], { to: 'bool' }), g.ints([1, 2])]);
  // The published code sets scores up to -100 to 0 in both models, after its mask of -10000.
  const ofKeys = (difference: Value) => g.op('Where', [isKey, difference, g.scalar(0)]);
  if (padding === 'published')
    return {
      hidden: (x) => weightedMean(g, meanSquare(g, x, [1, 2]), weights),
      attention: (x) => weightedMean(g, meanSquare(g, ofKeys(x), [1, 2, 3]), weights),
    };
  const queries = tokenWeights(context);
  const keys = g.op('Cast', [inputs.attentionMask], { to: g.float });
  const pairs = g.mul(g.op('Unsqueeze', [queries, g.ints([2])]), g.op('Unsqueeze', [keys, g.ints([1])]));
  return {
    hidden: (x) => weightedMean(g, meanSquare(g, x, [2]), queries),
    attention: (x) => weightedMean(g, meanSquare(g, ofKeys(x), [1]), pairs),
  };
}

/** Mean of squares over some axes. */
function meanSquare(g: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const count = axes.reduce((n, axis) => n * (x.shape[axis] as number), 1);
  return g.scale(g.op('ReduceSumSquare', [x], { axes, keepdims: 0 }), 1 / count);
}

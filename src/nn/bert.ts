/** BERT, DistilBERT and RoBERTa as graphs: embeddings, post-LN encoder, pooler, head; every inner value is within reach (taps). */
import { internal } from '../errors/index.ts';
import type { Shape } from '../graph/index.ts';
import type { GraphBuilder, Value } from '../ops/index.ts';
import { familyTraits, type BertArchitecture } from './architecture.ts';
import {
  activate,
  embedding,
  firstToken,
  layerNorm,
  linear,
  noDropout,
  type Dropout,
  type ParameterSource,
} from './layers.ts';

export interface BertInputs {
  /** int64 [batch, seq] */
  readonly inputIds: Value;
  /** int64 [batch, seq], 1 for real tokens */
  readonly attentionMask: Value;
  /** int64 [batch, seq]; read by BERT alone. */
  readonly tokenTypeIds: Value;
  /** A second sequence mixed into the first one (MixKD). */
  readonly mixture?: TokenMixture;
}

/** A second token at each position. The embeddings of both are summed by their weights, before position and LayerNorm. */
export interface TokenMixture {
  /** int64 [batch, seq] */
  readonly inputIds: Value;
  /** int64 [batch, seq] */
  readonly tokenTypeIds: Value;
  /** Of the first and of the second token, [batch, seq, 1]. */
  readonly weights: readonly [Value, Value];
}

/** The inputs of a BERT graph by the names that Transformers gives them. @param dims [batch, seq] */
export function bertInputs(g: GraphBuilder, dims: Shape): BertInputs {
  return {
    inputIds: g.input('input_ids', 'int64', dims),
    attentionMask: g.input('attention_mask', 'int64', dims),
    tokenTypeIds: g.input('token_type_ids', 'int64', dims),
  };
}

/** Inner values that distillation reads; unused ones cost nothing, the graph keeps only what its outputs need. */
export interface EncoderTaps {
  /** Embedding output, then the output of each depth: depth + 1 values [batch, seq, hidden]. */
  readonly hiddenStates: readonly Value[];
  /** QKᵀ/√d of each depth, before mask and softmax: [batch, heads, seq, seq]. */
  readonly attentionScores: readonly Value[];
}

export interface ClassifierOutputs extends EncoderTaps {
  /** What the classifier reads: tanh(linear(first token)), ReLU in DistilBERT; [batch, hidden]. */
  readonly pooled: Value;
  /** [batch, labels] */
  readonly logits: Value;
}

/** Added to the scores of masked keys; exp of it is 0 in float32. */
const MASKED = -10000;

/** Graph of a sequence classifier (Bert-, DistilBert-, RobertaForSequenceClassification). Pooler and head are built when they are asked for. */
export function bertClassifier(
  g: GraphBuilder,
  architecture: BertArchitecture,
  parameter: ParameterSource,
  inputs: BertInputs,
  dropout: Dropout = noDropout,
): ClassifierOutputs {
  const taps = bertEncoder(g, architecture, parameter, inputs, dropout);
  const last = taps.hiddenStates.at(-1) as Value;
  const { pooling, poolingActivation, dropsFirstToken } = familyTraits(architecture);
  const drop = (x: Value) => dropout.apply(x, architecture.classifierDropout);
  let pooled: Value | undefined;
  let logits: Value | undefined;
  return {
    ...taps,
    get pooled() {
      return (pooled ??= g.scope('pooler', () => {
        const first = firstToken(g, last);
        return g.op(poolingActivation, [linear(g, dropsFirstToken ? drop(first) : first, parameter, pooling)]);
      }));
    },
    get logits() {
      return (logits ??= g.scope('classifier', () => linear(g, drop(this.pooled), parameter, 'classifier')));
    },
  };
}

export function bertEncoder(
  g: GraphBuilder,
  architecture: BertArchitecture,
  parameter: ParameterSource,
  inputs: BertInputs,
  dropout: Dropout = noDropout,
): EncoderTaps {
  const bias = g.scope('mask', () => maskBias(g, inputs.attentionMask));
  let hidden = g.scope('embeddings', () => embeddings(g, architecture, parameter, inputs, dropout));
  const hiddenStates = [hidden];
  const attentionScores: Value[] = [];
  architecture.layerPlan.forEach((layer, depth) => {
    g.scope(`layer.${depth}`, () => {
      const source = architecture.swappedDepths?.includes(depth) ? swapQueryKey(parameter) : parameter;
      const output = encoderLayer(g, architecture, source, `bert.encoder.layer.${layer}`, hidden, bias, dropout);
      hidden = output.hidden;
      hiddenStates.push(output.hidden);
      attentionScores.push(output.scores);
    });
  });
  return { hiddenStates, attentionScores };
}

/** Query and key projections in each other's place, weights and biases. */
function swapQueryKey(parameter: ParameterSource): ParameterSource {
  return (name) => parameter(swappedName(name));
}

/** The parameter that takes the place of another at a swapped depth: the key projection for that of the query, and back. */
export function swappedName(name: string): string {
  return name.replace(/(?<=\.attention\.self\.)(query|key)(?=\.)/, (part) => (part === 'query' ? 'key' : 'query'));
}

/** 0 for real keys, a large negative number for padding: [batch, 1, 1, seq]. */
function maskBias(g: GraphBuilder, attentionMask: Value): Value {
  const mask = g.op('Unsqueeze', [g.op('Cast', [attentionMask], { to: g.float }), g.ints([1, 2])]);
  return g.mul(g.sub(g.scalar(1), mask), g.scalar(MASKED));
}

function embeddings(
  g: GraphBuilder,
  architecture: BertArchitecture,
  parameter: ParameterSource,
  { inputIds, tokenTypeIds, mixture }: BertInputs,
  dropout: Dropout,
): Value {
  const look = (table: string, first: Value, second: Value | undefined) =>
    mixedEmbedding(g, parameter(`bert.embeddings.${table}.weight`), first, second, mixture?.weights);
  const words = look('word_embeddings', inputIds, mixture?.inputIds);
  const { typeVocabSize, firstPosition = 0, layerNormEps, hiddenDropout } = architecture;
  const positions = positionRows(g, inputIds, parameter('bert.embeddings.position_embeddings.weight'), firstPosition);
  const types = 'token_type_embeddings';
  const sum =
    typeVocabSize === 0
      ? g.add(words, positions)
      : familyTraits(architecture).readsTokenTypes
        ? g.add(g.add(words, look(types, tokenTypeIds, mixture?.tokenTypeIds)), positions)
        : g.add(words, g.add(positions, firstRow(g, parameter(`bert.embeddings.${types}.weight`))));
  return dropout.apply(layerNorm(g, sum, parameter, 'bert.embeddings.LayerNorm', layerNormEps), hiddenDropout);
}

/** Rows of a table; of a mixture, the weighted sum of both rows. */
function mixedEmbedding(
  g: GraphBuilder,
  table: Value,
  first: Value,
  second: Value | undefined,
  weights: TokenMixture['weights'] | undefined,
): Value {
  const rows = embedding(g, first, table);
  if (!second || !weights) return rows;
  return g.add(g.mul(rows, weights[0]), g.mul(embedding(g, second, table), weights[1]));
}

/** The rows of the position table for seq tokens. */
function positionRows(g: GraphBuilder, inputIds: Value, table: Value, first: number): Value {
  const length = inputIds.shape[1];
  const positions = (table.shape[0] as number) - first;
  if (typeof length === 'number') {
    if (length > positions) throw internal(`length ${length} over ${positions} positions`);
    return g.op('Slice', [table, g.ints([first]), g.ints([first + length]), g.ints([0])]);
  }
  const count = g.op('Shape', [inputIds], { start: 1, end: 2 });
  const end = first === 0 ? count : g.add(count, g.ints([first]));
  return g.op('Slice', [table, g.ints([first]), end, g.ints([0])]);
}

/** [1, width] */
function firstRow(g: GraphBuilder, table: Value): Value {
  return table.shape[0] === 1 ? table : g.op('Slice', [table, g.ints([0]), g.ints([1]), g.ints([0])]);
}

function encoderLayer(
  g: GraphBuilder,
  architecture: BertArchitecture,
  parameter: ParameterSource,
  name: string,
  x: Value,
  maskBias: Value,
  dropout: Dropout,
): { hidden: Value; scores: Value } {
  const { hiddenDropout, layerNormEps } = architecture;
  const { context, scores } = g.scope('attention', () =>
    selfAttention(g, architecture, parameter, `${name}.attention.self`, x, maskBias, dropout),
  );
  const attended = g.scope('attention.output', () => {
    const projected = linear(g, context, parameter, `${name}.attention.output.dense`);
    const output = familyTraits(architecture).dropsProjection ? dropout.apply(projected, hiddenDropout) : projected;
    return layerNorm(g, g.add(output, x), parameter, `${name}.attention.output.LayerNorm`, layerNormEps);
  });
  const hidden = g.scope('feedforward', () => {
    const inner = activate(g, linear(g, attended, parameter, `${name}.intermediate.dense`), architecture.activation);
    const output = dropout.apply(linear(g, inner, parameter, `${name}.output.dense`), hiddenDropout);
    return layerNorm(g, g.add(output, attended), parameter, `${name}.output.LayerNorm`, layerNormEps);
  });
  return { hidden, scores };
}

function selfAttention(
  g: GraphBuilder,
  architecture: BertArchitecture,
  parameter: ParameterSource,
  name: string,
  x: Value,
  maskBias: Value,
  dropout: Dropout,
): { context: Value; scores: Value } {
  const { heads, hiddenSize } = architecture;
  const size = hiddenSize / heads;
  // [batch, seq, hidden] to [batch, heads, seq, size], or [batch, heads, size, seq] for keys
  const split = (part: string, perm: readonly number[]) =>
    g.transpose(g.reshape(linear(g, x, parameter, `${name}.${part}`), [0, 0, heads, size]), perm);
  const query = split('query', [0, 2, 1, 3]);
  const key = split('key', [0, 2, 3, 1]);
  const value = split('value', [0, 2, 1, 3]);
  const scores = g.div(g.op('MatMul', [query, key]), g.scalar(Math.sqrt(size)));
  const probabilities = g.op('Softmax', [g.add(scores, maskBias)], { axis: -1 });
  const context = g.op('MatMul', [dropout.apply(probabilities, architecture.attentionDropout), value]);
  return { context: g.reshape(g.transpose(context, [0, 2, 1, 3]), [0, 0, hiddenSize]), scores };
}

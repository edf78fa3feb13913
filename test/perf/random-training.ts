/** What a training step on made-up examples needs: an objective, a first state, a batch. */
import type { Engine, Variable } from '../../src/engine/index.ts';
import { elementCount, tensorOf, type Tensor } from '../../src/graph/index.ts';
import {
  bertClassifier,
  classifierParameters,
  crossEntropy,
  initialValue,
  type BertArchitecture,
  type Parameter,
} from '../../src/nn/index.ts';
import { slots, type Bucket, type Objective } from '../../src/train/index.ts';
import type { seeded } from '../support/seeded.ts';

type Random = ReturnType<typeof seeded>;

/** Cross-entropy of a classifier with two labels. */
export function classifierObjective(architecture: BertArchitecture): Objective {
  return {
    parameters: classifierParameters(architecture, 2),
    regression: false,
    loss: ({ g, parameter, inputs, labels, weights, dropout }) => ({
      loss: crossEntropy(g, bertClassifier(g, architecture, parameter, inputs, dropout).logits, labels, weights),
    }),
  };
}

/** Parameters as BERT begins, and moments of 0. */
export async function firstState(
  engine: Engine,
  parameters: readonly Parameter[],
  random: Random,
): Promise<Map<string, Variable>> {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
  const state = new Map<string, Variable>();
  for (const parameter of parameters) {
    state.set(parameter.name, await engine.store(initialValue(parameter, 0.02, normal)));
    const zeros = () => tensorOf('float32', parameter.shape, new Float32Array(elementCount(parameter.shape)));
    for (const slot of [slots.moment1, slots.moment2]) state.set(slot(parameter.name), await engine.store(zeros()));
  }
  return state;
}

/** Full rows of tokens of BERT's English vocabulary, with labels. */
export function randomBatch({ rows, length }: Bucket, random: Random): Record<string, Tensor> {
  const whole = (dims: number[], value: () => number) =>
    tensorOf('int64', dims, Float64Array.from({ length: elementCount(dims) }, value));
  return {
    input_ids: whole([rows, length], () => 1 + random.integer(30521)),
    attention_mask: whole([rows, length], () => 1),
    token_type_ids: whole([rows, length], () => 0),
    labels: whole([rows], () => random.integer(2)),
    weights: tensorOf('float32', [rows], new Float32Array(rows).fill(1)),
  };
}

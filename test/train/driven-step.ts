/** Steps of a small BERT on an engine, without the loop around them: what they answer, and what is left in the state. */
import type { Engine, Variable } from '../../src/engine/index.ts';
import { infoOf, tensorOf, type Model, type Node, type Tensor } from '../../src/graph/index.ts';
import {
  bertClassifier,
  classifierParameters,
  crossEntropy,
  initialValue,
  plainPlan,
  type BertArchitecture,
} from '../../src/nn/index.ts';
import { adamwScalars } from '../../src/optim/index.ts';
import {
  buildStep,
  drawMasks,
  slots,
  type Bucket,
  type Objective,
  type Step,
  type StepContext,
  type StepOptions,
} from '../../src/train/index.ts';
import type { Value } from '../../src/ops/index.ts';
import type { ClassifierOutputs } from '../../src/nn/index.ts';
import { seeded } from '../support/seeded.ts';

export const bucket: Bucket = { rows: 4, length: 8 };

export const architecture: BertArchitecture = {
  vocabSize: 30,
  hiddenSize: 16,
  heads: 2,
  intermediateSize: 24,
  activation: 'gelu',
  maxPositions: 128,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  initializerRange: 0.2,
  hiddenDropout: 0.1,
  attentionDropout: 0.1,
  classifierDropout: 0.1,
  layerPlan: plainPlan(3),
};

const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };
export const plainOptions: StepOptions = { adamw, clipNorm: 1, mode: 'update' };

/** What a loss is made of beside the cross-entropy. */
export type LossTerm = (context: StepContext, outputs: ClassifierOutputs) => Value;

export function objectiveOf(model: BertArchitecture = architecture, term?: LossTerm): Objective {
  return {
    parameters: classifierParameters(model, 2),
    regression: false,
    loss(context) {
      const { g, parameter, inputs, labels, weights, dropout } = context;
      const outputs = bertClassifier(g, model, parameter, inputs, dropout);
      const loss = crossEntropy(g, outputs.logits, labels, weights);
      return { loss: term ? g.add(loss, term(context, outputs)) : loss };
    },
  };
}

export interface Driven {
  /** Of each run: all fetched scalars. */
  readonly results: readonly Readonly<Record<string, number>>[];
  /** State after the last run. */
  readonly state: ReadonlyMap<string, Tensor>;
}

/** One run of a step: its options, the step that it is built as, and what else it is fed. */
export interface Run {
  readonly options: StepOptions;
  readonly feeds?: Readonly<Record<string, number>>;
  /** Whether float16 is made to be what it is on a GPU. */
  readonly rounded?: boolean;
}

/** Runs steps one after the other on one state, which is written in place. */
export async function drive(engine: Engine, objective: Objective, runs: readonly Run[]): Promise<Driven> {
  const random = seeded(4);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
  const state = new Map<string, Variable>();
  for (const parameter of objective.parameters) {
    const value = initialValue(parameter, architecture.initializerRange, normal);
    state.set(parameter.name, await engine.store(value));
    const zeros = { ...value, data: new Float32Array(value.data.length) };
    for (const slot of [slots.moment1, slots.moment2, slots.sum])
      state.set(slot(parameter.name), await engine.store(zeros));
  }
  const dims = [bucket.rows, bucket.length];
  const count = bucket.rows * bucket.length;
  const matrix = (value: (i: number) => number) =>
    tensorOf(
      'int64',
      dims,
      Array.from({ length: count }, (_, i) => value(i)),
    );
  const batch: Record<string, Tensor> = {
    input_ids: matrix(() => random.integer(architecture.vocabSize)),
    attention_mask: matrix((i) => Number(i % bucket.length < 6)),
    token_type_ids: matrix(() => 0),
    labels: tensorOf('int64', [bucket.rows], [0, 1, 1, 0]),
    weights: tensorOf('float32', [bucket.rows], [1, 1, 1, 0]),
  };
  const results: Record<string, number>[] = [];
  for (const [i, { options, feeds = {}, rounded = false }] of runs.entries()) {
    const built = buildStep(objective, bucket, options);
    const step = rounded ? { ...built, model: roundedProducts(built.model) } : built;
    const { stepSize, epsilon, shrink } = adamwScalars(adamw, i + 1, 1e-2);
    const numbers = { step_size: stepSize, epsilon, shrink, ...feeds };
    const scalars = Object.entries(numbers).map(([name, value]) => [name, tensorOf('float32', [], [value])] as const);
    results.push(
      await runOnce(
        engine,
        step,
        { ...batch, ...Object.fromEntries(scalars), ...drawMasks(step.dropout, 1, [i]) },
        state,
        rounded,
      ),
    );
  }
  const values = await engine.read([...state.values()]);
  await engine.free([...state.values()]);
  return { results, state: new Map([...state.keys()].map((name, i) => [name, values[i]!])) };
}

async function runOnce(
  engine: Engine,
  step: Step,
  given: Readonly<Record<string, Tensor>>,
  state: ReadonlyMap<string, Variable>,
  rounded: boolean,
): Promise<Record<string, number>> {
  const session = await engine.createSession(step.model, {
    inPlace: true,
    ...(rounded && { optimization: 'disabled' }),
  });
  const fed = session.inputs.map((name) => [name, state.get(name) ?? given[name]!] as const);
  const results = await session.run({
    feeds: Object.fromEntries(fed),
    fetch: session.outputs.filter((name) => !name.startsWith(slots.next(''))),
    assign: Object.fromEntries(step.writes.map((name) => [slots.next(name), state.get(name)!])),
  });
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, (data as Float32Array)[0]!]));
}

/**
 * ONNX Runtime computes float16 products on a CPU in float32, and takes away casts that follow each other. With a reshape
 * between them, to the shape that is there, operands and results are rounded, as on a GPU.
 */
function roundedProducts(model: Model): Model {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const reshaped = (from: string, to: string, like: string): Node => {
    const shape = infoOf(graph, like)!.shape as readonly number[];
    const name = `shape/${shape.join()}`;
    initializers.set(name, tensorOf('int64', [shape.length], shape));
    return { name: to, opType: 'Reshape', domain: '', inputs: [from, name], outputs: [to], attributes: {} };
  };
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (!['Gemm', 'MatMul'].includes(node.opType)) return [node];
    const output = node.outputs[0]!;
    const operands = node.inputs.map((name, i) => reshaped(name, `${output}/operand${i}`, name));
    return [
      ...operands,
      { ...node, name: `${output}/result`, inputs: operands.map(({ name }) => name), outputs: [`${output}/result`] },
      reshaped(`${output}/result`, output, output),
    ];
  });
  return { ...model, graph: { ...graph, nodes, initializers } };
}

/** A student and a teacher of masked tokens around a method, as one graph that runs in this process. */
import assert from 'node:assert/strict';
import type { z } from 'zod';
import { maskingCapacity, type MaskingOptions } from '../../../plugins/distill/src/masking.ts';
import type { Method, MethodContext, Model } from '../../../plugins/distill/src/methods/method.ts';
import { gradients } from '../../../src/autodiff/index.ts';
import { checkGraph, elementCount, modelOf, numbersOf, tensorOf, type Tensor } from '../../../src/graph/index.ts';
import {
  bertClassifier,
  classifierParameters,
  maskedLmHead,
  maskedLmParameters,
  plainPlan,
  type BertArchitecture,
  type BertInputs,
  type ClassifierOutputs,
} from '../../../src/nn/index.ts';
import { GraphBuilder, type Value } from '../../../src/ops/index.ts';
import { runModel } from '../../support/run-model.ts';
import { seeded } from '../../support/seeded.ts';
import { configOf } from './context.ts';

export const MASK = 1;
const VOCABULARY = 11;

type Float64 = Tensor<'float64'>;
type Passes = Pick<Model, 'forward' | 'vocabulary'>;

/** Makes a model out of variables, which are inputs of the graph with a name and a value. */
export type ModelMaker = (g: GraphBuilder, variable: (name: string, value: Float64) => Value) => Passes;

export interface Scene {
  /** Token ids of each row, without padding. */
  readonly rows: readonly (readonly number[])[];
  readonly length: number;
  /** Default: 1 for each row. */
  readonly weights?: readonly number[];
  /** Drawn tokens; each is replaced by [MASK]. */
  readonly drawn: readonly (readonly [row: number, position: number])[];
  readonly student: ModelMaker;
  readonly teacher?: ModelMaker | undefined;
}

export interface Measured {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** By name of the variable, such as `student/table`; of what the loss depends on. */
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

function outputsOf(hiddenStates: readonly Value[]): ClassifierOutputs {
  const absent = () => assert.fail('only hidden states are of use here');
  return {
    hiddenStates,
    attentionScores: [],
    get pooled() {
      return absent();
    },
    get logits() {
      return absent();
    },
  };
}

/** A last hidden state [rows, length, width] and vocabulary logits [n, classes], whatever the input is. */
export function fixedModel(hidden: Float64, logits: Float64): ModelMaker {
  return (_, variable) => {
    const [states, output] = [variable('hidden', hidden), variable('logits', logits)];
    return { forward: () => outputsOf([states]), vocabulary: () => output };
  };
}

function drawTensor(dims: readonly number[], seed: number): Float64 {
  const random = seeded(seed);
  const numbers = Array.from({ length: elementCount(dims) }, () => 2 * random.float() - 1);
  return tensorOf('float64', dims, numbers);
}

/** tanh of a row of a table for each token, decoded by the same table: exact in float64, without attention. */
export function tokenModel(width: number, seed: number): ModelMaker {
  return (g, variable) => {
    const table = variable('table', drawTensor([VOCABULARY, width], seed));
    const bias = variable('bias', drawTensor([VOCABULARY], seed + 1));
    return {
      forward: ({ inputIds }) => outputsOf([g.op('Tanh', [g.op('Gather', [table, inputIds], { axis: 0 })])]),
      vocabulary: (hidden) => g.add(g.op('MatMul', [hidden, g.transpose(table, [1, 0])]), bias),
    };
  };
}

/** BERT with the head of a masked language model. */
export function bertModel(layers: number, seed: number): ModelMaker {
  const architecture: BertArchitecture = {
    ...configOf({ layers, width: 8, heads: 2, labels: 2 }),
    vocabSize: VOCABULARY,
    layerPlan: plainPlan(layers),
  };
  return (g, variable) => {
    const all = [...classifierParameters(architecture, 2), ...maskedLmParameters(architecture)];
    const values = new Map(all.map(({ name, shape }, i) => [name, variable(name, drawTensor(shape, seed + i))]));
    const parameter = (name: string) => values.get(name) ?? assert.fail(name);
    return {
      forward: (inputs) => bertClassifier(g, architecture, parameter, inputs),
      vocabulary: (hidden) => maskedLmHead(g, architecture, parameter, hidden),
    };
  };
}

/** The inputs that a method gave to a model. */
export function recordingInputs(maker: ModelMaker, seen: BertInputs[]): ModelMaker {
  return (g, variable) => {
    const model = maker(g, variable);
    return {
      ...model,
      forward(inputs) {
        seen.push(inputs);
        return model.forward(inputs);
      },
    };
  };
}

/** A model that may not be asked for one of its passes. */
export function without(pass: keyof Passes, maker: ModelMaker): ModelMaker {
  return (g, variable) => ({ ...maker(g, variable), [pass]: () => assert.fail(`no ${pass}`) });
}

function feedsOf({ rows, length, drawn, weights }: Scene, masking: MaskingOptions): Map<string, Tensor> {
  const ids = rows.flatMap((row) => Array.from({ length }, (_, i) => row[i] ?? 0));
  const positions = drawn.map(([row, position]) => row * length + position);
  const capacity = maskingCapacity(masking, { rows: rows.length, length });
  const filled = (numbers: number[]) => [...numbers, ...new Array<number>(capacity - numbers.length).fill(0)];
  const matrix = (numbers: number[]) => tensorOf('int64', [rows.length, length], numbers);
  return new Map<string, Tensor>([
    ['input_ids', matrix(ids)],
    ['attention_mask', matrix(rows.flatMap((row) => Array.from({ length }, (_, i) => Number(i < row.length))))],
    // Alternating, so that a model that sees them shows it.
    ['token_type_ids', matrix(ids.map((_, i) => (i % length) % 2))],
    ['weights', tensorOf('float64', [rows.length], weights ?? rows.map(() => 1))],
    ['masked_ids', matrix(ids.map((id, i) => (positions.includes(i) ? MASK : id)))],
    ['masked_positions', tensorOf('int64', [capacity], filled(positions))],
    ['masked_targets', tensorOf('int64', [capacity], filled(positions.map((position) => ids[position]!)))],
    ['masked_weights', tensorOf('float64', [capacity], filled(positions.map(() => 1)))],
  ]);
}

/** The method's loss over a scene, with all that it declared, to be run with some variables replaced. */
export function build<Schema extends z.ZodObject>(method: Method<Schema>, given: object, scene: Scene) {
  const g = new GraphBuilder('float64');
  const options = method.options.parse(given);
  const variables = new Map<string, { value: Value; tensor: Float64 }>();
  const { rows, length } = scene;
  const matrix = [rows.length, length];
  const make = (role: string, maker: ModelMaker): Model => {
    const passes = g.scope(role, () =>
      maker(g, (name, tensor) => {
        const value = g.input(`${role}/${name}`, 'float64', tensor.dims);
        variables.set(`${role}/${name}`, { value, tensor });
        return value;
      }),
    );
    return {
      config: configOf({ layers: 1, width: 8, heads: 2, labels: 2 }),
      get outputs() {
        return assert.fail('the plain examples are of no use here');
      },
      forward: (inputs) => g.scope(role, () => passes.forward(inputs)),
      vocabulary: (hidden) => g.scope(role, () => passes.vocabulary(hidden)),
    };
  };
  const student = make('student', scene.student);
  const teacher = scene.teacher && make('teacher', scene.teacher);
  const context: MethodContext = {
    g,
    bucket: { rows: rows.length, length },
    inputs: {
      inputIds: g.input('input_ids', 'int64', matrix),
      attentionMask: g.input('attention_mask', 'int64', matrix),
      tokenTypeIds: g.input('token_type_ids', 'int64', matrix),
    },
    get labels() {
      return assert.fail('no labels');
    },
    weights: g.input('weights', 'float64', [rows.length]),
    regression: false,
    student,
    get teacher() {
      const model = teacher ?? assert.fail('there is no teacher');
      return Object.assign(model, { logits: [], firstToken: () => assert.fail('no first token') });
    },
    parameter: (name) => assert.fail(name),
    input: (name, dtype, shape) => g.input(name, dtype, shape),
  };
  const { loss, metrics } = method.loss(context, options);
  const forward = g.calls.length;
  const trained = [...variables].filter(([name]) => name.startsWith('student/'));
  const found = gradients(
    g,
    loss,
    trained.map(([, { value }]) => value),
  );
  const values = [...variables].map(([name, { tensor }]): [string, Tensor] => [name, tensor]);
  const feeds = new Map([...feedsOf(scene, options.masking as MaskingOptions), ...values]);
  return { g, loss, metrics, forward, trained, found, feeds };
}

/** The scene's loss as a function of replaced variables. */
export async function prepare<Schema extends z.ZodObject>(method: Method<Schema>, given: object, scene: Scene) {
  const { g, loss, metrics, trained, found, feeds } = build(method, given, scene);
  g.output('loss', loss);
  for (const [name, value] of Object.entries(metrics)) g.output(`metric/${name}`, value);
  trained.forEach(([name], i) => found[i] && g.output(`gradient/${name}`, found[i]));
  const graph = g.build('loss');
  checkGraph(graph);
  const run = await runModel(modelOf(graph));
  const at = async (changed: ReadonlyMap<string, Tensor> = new Map()): Promise<Measured> => {
    const values = await run(new Map([...feeds, ...changed]));
    const under = (prefix: string) =>
      Object.entries(values).flatMap(([name, value]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), numbersOf(value)] as const] : [],
      );
    return {
      loss: numbersOf(values['loss']!)[0]!,
      metrics: Object.fromEntries(under('metric/').map(([name, [value]]) => [name, value!])),
      gradients: Object.fromEntries(under('gradient/')),
    };
  };
  return { at, trained, inputs: graph.inputs };
}

export async function measure<Schema extends z.ZodObject>(
  method: Method<Schema>,
  given: object,
  scene: Scene,
): Promise<Measured> {
  return (await prepare(method, given, scene)).at();
}

/** Compares every gradient of the student with central differences; what has none must not matter. */
export async function checkGradients<Schema extends z.ZodObject>(
  method: Method<Schema>,
  given: object,
  scene: Scene,
): Promise<void> {
  const step = 1e-5;
  const { at, trained } = await prepare(method, given, scene);
  const analytic = (await at()).gradients;
  assert.ok(Object.values(analytic).some((values) => values.some((value) => Math.abs(value) > 1e-3)));
  for (const [name, { tensor }] of trained)
    for (let i = 0; i < tensor.data.length; i++) {
      const lossAt = async (delta: number) => {
        const data = tensor.data.slice();
        data[i]! += delta;
        return (await at(new Map([[name, { ...tensor, data }]]))).loss;
      };
      const numeric = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
      const value = analytic[name]?.[i] ?? 0;
      assert.ok(Math.abs(value - numeric) < 1e-8, `${name}[${i}]: analytic ${value}, numeric ${numeric}`);
    }
}

export function assertClose(actual: Measured, expected: Measured, tolerance: number): void {
  const near = (a: number, b: number, what: string) =>
    assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${what}: ${a}, not ${b}`);
  near(actual.loss, expected.loss, 'loss');
  for (const [name, value] of Object.entries(expected.metrics)) near(actual.metrics[name]!, value, name);
  assert.deepEqual(Object.keys(actual.gradients), Object.keys(expected.gradients));
  for (const [name, values] of Object.entries(expected.gradients))
    values.forEach((value, i) => near(actual.gradients[name]![i]!, value, `gradient of ${name}[${i}]`));
}

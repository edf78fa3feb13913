/** The context of a distillation method made of plain values, so that a loss is measured without any model. */
import assert from 'node:assert/strict';
import type { z } from 'zod';
import type { Method, MethodContext, Shapes, Taps } from '../../../plugins/distill/src/methods/method.ts';
import { gradients } from '../../../src/autodiff/index.ts';
import type { BertConfig } from '../../../src/checkpoint/index.ts';
import { checkGraph, elementCount, modelOf, numbersOf, tensorOf, type Tensor } from '../../../src/graph/index.ts';
import { firstToken, plainPlan } from '../../../src/nn/index.ts';
import { GraphBuilder, type Value } from '../../../src/ops/index.ts';
import { runModel } from '../../support/run-model.ts';
import { seeded } from '../../support/seeded.ts';

/** Numbers in rows. */
export type Nested = number | readonly Nested[];

/** Inner values of a model; what is left out does not exist. */
export interface PlainModel {
  /** Embedding output, then that of each layer: [rows, length, width]. */
  readonly hiddenStates?: readonly Nested[];
  /** [rows, heads, length, length] of each layer. */
  readonly attentionScores?: readonly Nested[];
  /** [rows, labels] */
  readonly logits?: Nested;
}

/** What a step is fed. */
export interface PlainStep {
  readonly student: PlainModel;
  readonly teacher?: PlainModel & { readonly otherLogits?: readonly Nested[] };
  readonly mask: readonly (readonly number[])[];
  /** Default: 1 for each row. */
  readonly weights?: readonly number[];
  /** Class ids, or targets of a regression. */
  readonly labels?: readonly number[];
  readonly regression?: boolean;
  /** Of the method, as graphs hold them. */
  readonly parameters?: Readonly<Record<string, Nested>>;
}

export interface Measured {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Of what the loss depends on: `hidden.n`, `scores.n`, `logits` of the student, and parameters. */
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

type Float = 'float32' | 'float64';

export function dimsOf(value: Nested): number[] {
  if (typeof value === 'number') return [];
  return [value.length, ...(value.length > 0 ? dimsOf(value[0]!) : [])];
}

export function flat(value: Nested): number[] {
  return typeof value === 'number' ? [value] : value.flatMap(flat);
}

/** Nested numbers of a shape, each made by `make`. */
export function nested(dims: readonly number[], make: () => number): Nested {
  const [first, ...rest] = dims;
  return first === undefined ? make() : Array.from({ length: first }, () => nested(rest, make));
}

export interface Size {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly labels: number;
}

/** A configuration of that size; what no loss reads is arbitrary. */
export function configOf({ layers, width, heads, labels }: Size): BertConfig {
  return {
    vocabSize: 11,
    hiddenSize: width,
    heads,
    intermediateSize: 2 * width,
    activation: 'relu',
    maxPositions: 8,
    typeVocabSize: 2,
    layerNormEps: 1e-12,
    initializerRange: 0.02,
    hiddenDropout: 0,
    attentionDropout: 0,
    classifierDropout: 0,
    layerPlan: plainPlan(layers),
    layers,
    padTokenId: 0,
    labels: Array.from({ length: labels }, (_, id) => `label ${id}`),
    problemType: 'single_label_classification',
    raw: {},
  };
}

/** Seeded inner values of a model of that size. */
export function randomModel({ layers, width, heads, labels }: Size, mask: PlainStep['mask'], seed: number): PlainModel {
  const random = seeded(seed);
  const [rows, length] = [mask.length, mask[0]!.length];
  const draw = (...dims: number[]) => nested(dims, () => 2 * random.float() - 1);
  return {
    hiddenStates: Array.from({ length: layers + 1 }, () => draw(rows, length, width)),
    attentionScores: Array.from({ length: layers }, () => draw(rows, heads, length, length)),
    logits: draw(rows, labels),
  };
}

function sizeOf({ hiddenStates = [], attentionScores = [], logits = [[0]] }: PlainModel): Size {
  return {
    layers: Math.max(hiddenStates.length - 1, attentionScores.length),
    width: dimsOf(hiddenStates[0] ?? [[[0]]])[2]!,
    heads: dimsOf(attentionScores[0] ?? [[0]])[1]!,
    labels: dimsOf(logits)[1]!,
  };
}

/** The models of a step, as methods see them beforehand. */
export function shapesOf({ student, teacher, regression = false }: PlainStep): Shapes {
  return { student: configOf(sizeOf(student)), teacher: teacher && configOf(sizeOf(teacher)), regression };
}

interface Built {
  readonly context: MethodContext;
  readonly variables: ReadonlyMap<string, { readonly value: Value; readonly tensor: Tensor<Float> }>;
}

/** What the student computes and what is trained beside it are inputs of the graph, the rest is constant. */
function contextOf(g: GraphBuilder, step: PlainStep, taps: Taps): Built {
  const variables = new Map<string, { value: Value; tensor: Tensor<Float> }>();
  const constant = (value: Nested) => g.constant(tensorOf(g.float, dimsOf(value), flat(value)));
  const variable = (name: string, given: Nested) => {
    const tensor = tensorOf(g.float, dimsOf(given), flat(given));
    const value = g.input(name, g.float, tensor.dims);
    variables.set(name, { value, tensor });
    return value;
  };
  const absent = (what: string) => assert.fail(`${what} is not among the taps`);
  const shapes = shapesOf(step);
  const [rows, length] = dimsOf(step.mask) as [number, number];
  const ids = (numbers: readonly number[]) => g.constant(tensorOf('int64', [rows, length], numbers));
  const { student, teacher, labels = step.mask.map(() => 0), regression = false } = step;
  const parameters = Object.fromEntries(
    Object.entries(step.parameters ?? {}).map(([name, value]) => [name, variable(name, value)]),
  );
  const outputs = (model: PlainModel, make: (name: string, value: Nested) => Value) => ({
    hiddenStates: model.hiddenStates?.map((value, i) => make(`hidden.${i}`, value)) ?? [],
    attentionScores: model.attentionScores?.map((value, i) => make(`scores.${i}`, value)) ?? [],
    logits: make('logits', model.logits ?? [[0]]),
    get pooled() {
      return absent('pooled');
    },
  });
  const passes = { forward: () => absent('another pass'), vocabulary: () => absent('the vocabulary') };
  const context: MethodContext = {
    g,
    bucket: { rows, length },
    inputs: {
      inputIds: ids(flat(step.mask)),
      attentionMask: ids(flat(step.mask)),
      tokenTypeIds: ids(flat(step.mask).fill(0)),
    },
    labels: regression ? constant(labels) : g.ints(labels),
    weights: constant(step.weights ?? step.mask.map(() => 1)),
    regression,
    student: { config: shapes.student, outputs: outputs(student, variable), ...passes },
    get teacher() {
      const { hiddenStates = [], logits = [], otherLogits = [] } = teacher ?? assert.fail('there is no teacher');
      return {
        config: shapes.teacher!,
        ...passes,
        get outputs() {
          return taps.outputs ? outputs(teacher!, (_, value) => constant(value)) : absent('outputs');
        },
        get logits() {
          return taps.logits ? [logits, ...otherLogits].map(constant) : absent('logits');
        },
        firstToken: (n: number) =>
          taps.firstTokens?.includes(n) ? firstToken(g, constant(hiddenStates[n]!)) : absent(`first token of ${n}`),
      };
    },
    parameter: (name) => parameters[name] ?? assert.fail(`no parameter ${name}`),
    input: () => absent('a drawn input'),
  };
  return { context, variables };
}

/** Runs a method's loss again and again, with some variables replaced. */
async function prepared<Schema extends z.ZodObject>(
  method: Method<Schema>,
  given: object,
  step: PlainStep,
  float: Float,
) {
  const g = new GraphBuilder(float);
  const options = method.options.parse(given);
  const shapes = shapesOf(step);
  assert.deepEqual(method.problems?.(options, shapes) ?? [], []);
  const declared = method.parameters?.(options, shapes) ?? [];
  assert.deepEqual(
    declared.map(({ name, shape }) => [name, shape]),
    Object.entries(step.parameters ?? {}).map(([name, value]) => [name, dimsOf(value)]),
  );
  const { context, variables } = contextOf(g, step, method.taps(options, shapes));
  const { loss, metrics } = method.loss(context, options);
  const names = [...variables.keys()];
  const wrt = names.map((name) => variables.get(name)!.value);
  const found = gradients(g, loss, wrt);
  g.output('loss', loss);
  for (const [name, value] of Object.entries(metrics)) {
    assert.deepEqual(value.shape, []);
    g.output(`metric/${name}`, value);
  }
  found.forEach((gradient, i) => gradient && g.output(`gradient/${names[i]}`, gradient));
  const graph = g.build('loss');
  checkGraph(graph);
  const run = await runModel(modelOf(graph));
  const feeds = new Map(names.map((name): [string, Tensor] => [name, variables.get(name)!.tensor]));
  const results = async (changed: ReadonlyMap<string, Tensor> = new Map()) => run(new Map([...feeds, ...changed]));
  return { results, variables };
}

/** The loss of a step, its terms and gradients. Options are completed by their defaults. */
export async function measure<Schema extends z.ZodObject>(
  method: Method<Schema>,
  options: object,
  step: PlainStep,
  float: Float = 'float64',
): Promise<Measured> {
  const { results } = await prepared(method, options, step, float);
  const values = await results();
  const under = (prefix: string) =>
    Object.entries(values).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), numbersOf(value)] as const] : [],
    );
  return {
    loss: numbersOf(values['loss']!)[0]!,
    metrics: Object.fromEntries(under('metric/').map(([name, [value]]) => [name, value!])),
    gradients: Object.fromEntries(under('gradient/')),
  };
}

/** Compares every gradient with central differences in float64; what has none must not matter. */
export async function checkGradients<Schema extends z.ZodObject>(
  method: Method<Schema>,
  options: object,
  step: PlainStep,
): Promise<void> {
  const distance = 1e-5;
  const { results, variables } = await prepared(method, options, step, 'float64');
  const analytic = await results();
  for (const [name, { tensor }] of variables)
    for (let i = 0; i < elementCount(tensor.dims); i++) {
      const lossAt = async (delta: number) => {
        const data = Float64Array.from(tensor.data);
        data[i]! += delta;
        return numbersOf((await results(new Map([[name, tensorOf('float64', tensor.dims, data)]])))['loss']!)[0]!;
      };
      const numeric = ((await lossAt(distance)) - (await lossAt(-distance))) / (2 * distance);
      const gradient = analytic[`gradient/${name}`];
      const value = gradient ? numbersOf(gradient)[i]! : 0;
      assert.ok(Math.abs(value - numeric) < 1e-9, `${name}[${i}]: analytic ${value}, numeric ${numeric}`);
    }
}

export function assertNear(actual: number, expected: number, tolerance: number, what = 'loss'): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} ${actual}, not ${expected}`);
}

/** float64 at 1e-12, float32 at a few units in the last place, relative to values above 1. */
export async function assertLoss<Schema extends z.ZodObject>(
  method: Method<Schema>,
  options: object,
  step: PlainStep,
  expected: number,
  exact = 1e-12,
): Promise<void> {
  for (const [float, tolerance] of [
    ['float64', exact],
    ['float32', Math.max(exact, 5e-7)],
  ] as const) {
    const { loss } = await measure(method, options, step, float);
    assertNear(loss, expected, tolerance * Math.max(1, Math.abs(expected)), float);
  }
}

/** A tiny student and a tiny teacher of another width around a method, as one graph that runs in this process. */
import assert from 'node:assert/strict';
import type { MethodContext, Model } from '../../../plugins/distill/src/methods/method.ts';
import { parseConfig, type BertConfig } from '../../../src/checkpoint/index.ts';
import { normalSource, randomStream } from '../../../src/data/index.ts';
import { modelOf, numbersOf, tensorOf, type Tensor } from '../../../src/graph/index.ts';
import {
  bertClassifier,
  classifierParameters,
  initialValue,
  type BertInputs,
  type ClassifierOutputs,
  type Parameter,
} from '../../../src/nn/index.ts';
import { GraphBuilder, type Value } from '../../../src/ops/index.ts';
import { runModel } from '../../support/run-model.ts';

/** One example: token ids without padding, the token from which on types are 1, and its label. */
export interface Row {
  readonly ids: readonly number[];
  readonly second?: number;
  readonly label: number;
}

export interface Scene {
  readonly rows: readonly Row[];
  /** Rows from here on are filler. */
  readonly examples?: number;
  readonly float?: 'float32' | 'float64';
  readonly regression?: boolean;
  /** The teacher has the student's shape and weights. */
  readonly sameModel?: boolean;
}

/** One pass of a model over inputs that a method made. */
export interface Pass {
  readonly inputs: BertInputs;
  readonly outputs: ClassifierOutputs;
}

/** What a test builds its outputs from. */
export interface Built {
  readonly g: GraphBuilder;
  readonly context: MethodContext;
  readonly passes: { readonly student: Pass[]; readonly teacher: Pass[] };
  readonly parameters: { readonly student: ReadonlyMap<string, Value>; readonly teacher: ReadonlyMap<string, Value> };
}

export const length = 6;
export const padding = 0;

export function sceneConfigs({ regression, sameModel }: Scene): Record<'student' | 'teacher', BertConfig> {
  const config = (hidden: number, layers: number) =>
    parseConfig(
      {
        model_type: 'bert',
        vocab_size: 20,
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 8,
        initializer_range: 0.5,
        // Erf of gelu has no float64 kernel.
        hidden_act: 'relu',
        id2label: regression ? { 0: 'score' } : { 0: 'a', 1: 'b', 2: 'c' },
        ...(regression && { problem_type: 'regression' }),
      },
      'config.json',
    );
  const student = config(8, 1);
  return { student, teacher: sameModel ? student : config(12, 2) };
}

/** Weights by graph name; biases and LayerNorm are drawn too, so that every parameter matters. */
export function sceneParameters(scene: Scene): Map<string, Tensor> {
  const configs = sceneConfigs(scene);
  const drawn = (role: 'student' | 'teacher') => (parameter: Parameter) => {
    const stream = scene.sameModel ? 'model' : role;
    const normal = normalSource(randomStream(1, `${stream} ${parameter.name}`));
    const value = initialValue(parameter, configs[role].initializerRange, normal);
    if (parameter.kind === 'bias' || parameter.kind === 'scale')
      for (let i = 0; i < value.data.length; i++) value.data[i]! += 0.2 * normal();
    return [`${role}/${parameter.name}`, value] as const;
  };
  return new Map([
    ...parametersOf(configs.student).map(drawn('student')),
    ...parametersOf(configs.teacher).map(drawn('teacher')),
  ]);
}

function parametersOf(config: BertConfig): Parameter[] {
  return classifierParameters(config, config.labels.length);
}

function batchFeeds({ rows, examples = rows.length, regression }: Scene): Map<string, Tensor> {
  const matrix = (cell: (row: Row, position: number) => number) =>
    tensorOf(
      'int64',
      [rows.length, length],
      rows.flatMap((row) => Array.from({ length }, (_, i) => (i < row.ids.length ? cell(row, i) : padding))),
    );
  const labels = rows.map(({ label }) => label);
  return new Map<string, Tensor>([
    ['input_ids', matrix(({ ids }, i) => ids[i]!)],
    ['attention_mask', matrix(() => 1)],
    ['token_type_ids', matrix(({ second = length }, i) => Number(i >= second))],
    ['labels', tensorOf(regression ? 'float32' : 'int64', [rows.length], labels)],
    [
      'weights',
      tensorOf(
        'float32',
        [rows.length],
        rows.map((_, i) => Number(i < examples)),
      ),
    ],
  ]);
}

export type Feeds = Readonly<Record<string, Tensor>>;
export type Results = Readonly<Record<string, number[]>>;

/** Builds a graph around a method's context; the result runs it with further feeds, which may replace parameters. */
export async function compile(
  scene: Scene,
  build: (built: Built) => Readonly<Record<string, Value>>,
): Promise<(feeds: Feeds) => Promise<Results>> {
  const g = new GraphBuilder(scene.float ?? 'float32');
  const built = makeContext(g, scene);
  for (const [name, value] of Object.entries(build(built))) g.output(name, value);
  const run = await runModel(modelOf(g.build('scene')));
  const known = new Map([...sceneParameters(scene), ...batchFeeds(scene)]);
  return async (feeds) => {
    const all = new Map([...known, ...Object.entries(feeds)].map(([name, value]) => [name, inFloat(g, value)]));
    const results = await run(all);
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, numbersOf(value)]));
  };
}

function inFloat(g: GraphBuilder, value: Tensor): Tensor {
  return value.dtype === 'float32' ? tensorOf(g.float, value.dims, value.data as Float32Array) : value;
}

function makeContext(g: GraphBuilder, scene: Scene): Built {
  const configs = sceneConfigs(scene);
  const matrix = [scene.rows.length, length];
  const inputs: BertInputs = {
    inputIds: g.input('input_ids', 'int64', matrix),
    attentionMask: g.input('attention_mask', 'int64', matrix),
    tokenTypeIds: g.input('token_type_ids', 'int64', matrix),
  };
  const passes = { student: [] as Pass[], teacher: [] as Pass[] };
  const inputsOf = (role: 'student' | 'teacher') =>
    new Map(parametersOf(configs[role]).map(({ name, shape }) => [name, g.input(`${role}/${name}`, g.float, shape)]));
  const parameters = { student: inputsOf('student'), teacher: inputsOf('teacher') };
  const model = (role: 'student' | 'teacher'): Model => {
    const config = configs[role];
    const pass = (given: BertInputs) =>
      bertClassifier(g, config, (name) => parameters[role].get(name) ?? assert.fail(name), given);
    let plain: ClassifierOutputs | undefined;
    return {
      config,
      get outputs() {
        return (plain ??= pass(inputs));
      },
      forward(given) {
        const outputs = pass(given);
        passes[role].push({ inputs: given, outputs });
        return outputs;
      },
      vocabulary: () => assert.fail('no vocabulary'),
    };
  };
  const teacher = model('teacher');
  const context: MethodContext = {
    g,
    bucket: { rows: scene.rows.length, length },
    inputs,
    labels: g.input('labels', scene.regression ? g.float : 'int64', [scene.rows.length]),
    weights: g.input('weights', g.float, [scene.rows.length]),
    regression: scene.regression ?? false,
    student: model('student'),
    teacher: {
      config: teacher.config,
      get outputs() {
        return teacher.outputs;
      },
      forward: teacher.forward,
      vocabulary: teacher.vocabulary,
      get logits() {
        return [teacher.outputs.logits];
      },
      firstToken: () => assert.fail('no first token'),
    },
    parameter: (name) => assert.fail(name),
    input: (name, dtype, shape) => g.input(name, dtype, shape),
  };
  return { g, context, passes, parameters };
}

/** The feeds of a draw: rows, partners, λ, and weights (1 where not given). */
export function pairs(
  ...list: readonly (readonly [row: number, partner: number, lambda: number, weight?: number])[]
): Feeds {
  const shape = [list.length];
  const column = (index: 0 | 1 | 2 | 3) => list.map((pair) => pair[index] ?? 1);
  return {
    mix_row: tensorOf('int64', shape, column(0)),
    mix_partner: tensorOf('int64', shape, column(1)),
    mix_lambda: tensorOf('float32', shape, column(2)),
    mix_weights: tensorOf('float32', shape, column(3)),
  };
}

/** Every operator on TensorFlow.js against ONNX Runtime: the samples of the operator table, and what they leave out. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { tfjsEngine } from '../../plugins/tfjs/src/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { modelOf, numbersOf, tensorOf, type Model, type Tensor } from '../../src/graph/index.ts';
import { GraphBuilder, type OpType, type Value } from '../../src/ops/index.ts';
import { f32, i64, int, model, string, type ModelSpec } from '../engine/graphs.ts';
import { drawer } from '../ops/drawer.ts';
import { samples, type Draw } from '../ops/samples.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';
import { backends, skipOf } from './backends.ts';

/** Of the value, or of 1 where it is smaller: the approximation of Erf is good to 1.5e-7. */
const TOLERANCE = 2e-6;

type Feeds = Record<string, Tensor>;
type Build = (g: GraphBuilder, draw: Draw) => Value | readonly Value[];

function sampleModel(build: Build, seed: number): { model: Model; feeds: Feeds } {
  const g = new GraphBuilder('float32');
  const inputs = new Map<string, Tensor>();
  const { draw } = drawer(g, seeded(seed), inputs);
  const result = build(g, draw);
  const values = Array.isArray(result) ? (result as readonly Value[]) : [result as Value];
  values.forEach((value, i) => g.output(`y${i}`, value));
  const graph = g.build('sample');
  return {
    model: modelOf(graph),
    feeds: Object.fromEntries(graph.inputs.map(({ name }) => [name, inputs.get(name)!])),
  };
}

async function compare(engine: Engine, { model, feeds }: { model: Model; feeds: Feeds }): Promise<void> {
  const expected = await (await runModel(model))(new Map(Object.entries(feeds)));
  const session = await engine.createSession(model);
  const found = await session.run({ feeds, fetch: session.outputs });
  await session.release();
  for (const [name, value] of Object.entries(expected)) {
    const other = found[name] as Tensor;
    assert.deepEqual([other.dtype, other.dims], [value.dtype, [...value.dims]], name);
    const numbers = numbersOf(other);
    numbersOf(value).forEach((number, i) => {
      const error = Math.abs((numbers[i] as number) - number);
      assert.ok(error <= TOLERANCE * Math.max(1, Math.abs(number)), `${name}[${i}]: ${numbers[i]}, not ${number}`);
    });
  }
}

const matrix = (rows: number, columns: number, from = 0) =>
  f32(
    Array.from({ length: rows * columns }, (_, i) => from + i),
    [rows, columns],
  );

/** Attributes, ranks and run-time inputs of which there is no sample. */
const semantics: Readonly<Record<string, Build>> = {
  'LayerNormalization with its mean and deviation': (g, d) =>
    g.opAll('LayerNormalization', [d.value([2, 3, 4]), d.value([3, 4]), d.value([3, 4])], { axis: 1, epsilon: 1e-5 }),
  'Softmax of a middle axis': (g, d) => g.op('Softmax', [d.value([2, 3, 4, 2])], { axis: -3 }),
  'MatMul, both batches broadcast': (g, d) => g.op('MatMul', [d.value([2, 1, 3, 2]), d.value([1, 3, 2, 4])]),
  'MatMul, ranks 2 and 4': (g, d) => g.op('MatMul', [d.value([3, 2]), d.value([2, 2, 2, 4])]),
  'Gemm with a scalar, and with nothing scaled': (g, d) => [
    g.op('Gemm', [d.value([2, 3]), d.value([3, 2]), d.value([])], { beta: 0.5 }),
    g.op('Gemm', [d.value([2, 3]), d.value([3, 2])], {}),
  ],
  'Gather of the last axis, by a scalar, of integers': (g, d) => [
    g.op('Gather', [d.value([2, 3, 4]), d.indices([2, 2], 4)], { axis: -1 }),
    g.op('Gather', [d.value([2, 3, 4]), g.scalar(1, 'int64')], { axis: 1 }),
    g.op('Gather', [d.indices([5], 9), d.indices([2, 2], 5)], { axis: 0 }),
    g.op('Gather', [d.bool([5, 2]), d.indices([3], 5)], { axis: 0 }),
  ],
  'negative indices': (g, d) => [
    g.op('Gather', [d.value([3, 2]), g.ints([-1, 0, -3])], { axis: 0 }),
    g.op('GatherElements', [d.value([3, 2]), g.constant(tensorOf('int64', [2, 1], [-1, 0]))], { axis: -1 }),
  ],
  'GatherElements and ScatterElements of fewer elements, three axes': (g, d) => {
    const data = d.value([3, 4, 2]);
    const at = g.constant(tensorOf('int64', [2, 3, 1], [0, 2, 1, 3, 0, 1]));
    const picked = g.op('GatherElements', [data, at], { axis: 1 });
    return [
      picked,
      g.op('ScatterElements', [data, at, picked], { axis: 1, reduction: 'add' }),
      g.op('ScatterElements', [data, at, d.value([2, 3, 1])], { axis: -2, reduction: 'none' }),
    ];
  },
  'a shape made at run time': (g, d) => {
    const rows = g.op('Shape', [d.value([3, 5])], { start: 0, end: 1 });
    return g.op('Slice', [d.value([6, 2]), g.ints([0]), rows, g.ints([0])]);
  },
  'Shape from the end': (g, d) => g.op('Shape', [d.value([2, 3, 4])], { start: -2 }),
  'Slice to nothing': (g, d) => g.op('Slice', [d.value([4, 2]), g.ints([3]), g.ints([1]), g.ints([0])]),
  'Concat of integers and of masks': (g, d) => [
    g.op('Concat', [d.indices([2], 9), d.indices([3], 9)], { axis: 0 }),
    g.op('Concat', [d.bool([2, 1]), d.bool([2, 2])], { axis: 1 }),
  ],
  'Expand of a mask; a 1 keeps the size': (g, d) => [
    g.op('Expand', [d.bool([2, 1]), g.ints([3, 1, 4])]),
    g.op('Expand', [d.value([3, 4]), g.ints([1])]),
  ],
  'Where of integers and of masks': (g, d) => [
    g.op('Where', [d.bool([2, 3]), d.indices([3], 9), d.indices([2, 1], 9)]),
    g.op('Equal', [d.bool([4]), d.bool([4])]),
  ],
  'integer arithmetic; quotients go towards 0': (g, d) => {
    const [a, b] = [g.ints([7, -7, 7, -7, 0]), g.ints([2, 2, -2, -2, 3])];
    return [
      g.op('Div', [a, b]),
      g.add(a, b),
      g.mul(a, b),
      g.op('Max', [a, b]),
      g.op('Cast', [d.value([5], -9, 9)], { to: 'int64' }),
    ];
  },
  'casts to and from masks and integers': (g, d) => [
    g.op('Cast', [g.constant(f32([0, 0.5, -2]))], { to: 'bool' }),
    g.op('Cast', [d.bool([4])], { to: 'int64' }),
    g.op('Cast', [d.indices([4], 9)], { to: 'float32' }),
    g.op('Cast', [d.indices([4], 9)], { to: 'int32' }),
  ],
  'Round halves to even': (g) => g.op('Round', [g.constant(f32([0.5, 1.5, -0.5, -2.5, 2.4]))]),
  'Pad with a value': (g, d) => g.op('Pad', [d.value([2, 2]), g.ints([1, 0, 0, 2]), g.scalar(-1.5)]),
  'ConstantOfShape of integers': (g) =>
    g.op('ConstantOfShape', [g.ints([2, 3])], { value: tensorOf('int64', [1], [7]) }),
  'sums and maxima of large values': (g, d) => [
    g.op('ReduceLogSumExp', [g.scale(d.value([3, 4]), 200)], { axes: [1], keepdims: 0 }),
    g.op('Softmax', [g.scale(d.value([3, 4]), 200)], { axis: 1 }),
  ],
};

/** Inputs and attributes that may be left out, which the builder always writes. */
const defaults: Readonly<Record<string, { spec: ModelSpec; feeds: Feeds }>> = {
  'reductions over everything': {
    spec: {
      inputs: [['x', 'float32', [2, 3]]],
      outputs: [
        ['a', 'float32', [1, 1]],
        ['b', 'float32', []],
        ['c', 'float32', []],
      ],
      nodes: [
        ['a', 'ReduceSum', 'x'],
        ['b', 'ReduceMax', 'x', { keepdims: int(0) }],
        ['c', 'ReduceLogSumExp', 'x', { keepdims: int(0) }],
      ],
    },
    feeds: { x: matrix(2, 3) },
  },
  'axes, order and reduction': {
    spec: {
      inputs: [
        ['x', 'float32', [2, 3]],
        ['i', 'int64', [1, 3]],
      ],
      outputs: [
        ['t', 'float32', [3, 2]],
        ['s', 'float32', [2, 3]],
        ['g', 'float32', [1, 3, 3]],
        ['w', 'float32', [2, 3]],
      ],
      nodes: [
        ['t', 'Transpose', 'x'],
        ['s', 'Softmax', 'x'],
        ['g', 'Gather', 'x i'],
        ['e', 'GatherElements', 'x i'],
        ['w', 'ScatterElements', 'x i e', { reduction: string('none') }],
      ],
    },
    feeds: { x: matrix(2, 3), i: i64([1, 0, 1], [1, 3]) },
  },
};

for (const backend of backends)
  describe(`operators on the ${backend} backend`, { skip: skipOf[backend] }, () => {
    let engine: Engine;
    before(async () => {
      engine = await tfjsEngine({ backend });
    });
    after(() => engine.close());

    for (const type of Object.keys(samples) as OpType[])
      for (const { title, build } of samples[type])
        it(`${type}: ${title}`, () => compare(engine, sampleModel(build, 3)));
    for (const [title, build] of Object.entries(semantics)) it(title, () => compare(engine, sampleModel(build, 5)));
    for (const [title, { spec, feeds }] of Object.entries(defaults))
      it(`${title} by default`, () => compare(engine, { model: model(spec), feeds }));
  });

/** One or more samples of every operator, for gradient checks and for engines to agree on. Total over the operators. */
import { tensorOf } from '../../src/graph/index.ts';
import type { GraphBuilder, OpType, Value } from '../../src/ops/index.ts';

/** Uniform in [-1, 1) unless asked otherwise. */
export interface Draw {
  value(shape: readonly number[], low?: number, high?: number): Value;
  /** Values at least `gap` apart from each other and from 0, so that no kink is near. */
  apart(shape: readonly number[]): Value;
  indices(shape: readonly number[], below: number): Value;
  bool(shape: readonly number[]): Value;
  /** Random small size. */
  size(low?: number, high?: number): number;
}

export interface Sample {
  readonly title: string;
  readonly build: (g: GraphBuilder, draw: Draw) => Value;
  /** Operators without a float64 CPU kernel are checked in float32 with a larger step. */
  readonly float?: 'float32';
}

type Build = Sample['build'];
type Pairs = (a: Value, b: Value, g: GraphBuilder) => Value;

const unary = (build: (g: GraphBuilder, x: Value) => Value, low = -1, high = 1): Sample[] => [
  { title: 'matrix', build: (g, d) => build(g, d.value([d.size(), d.size()], low, high)) },
  { title: 'scalar', build: (g, d) => build(g, d.value([], low, high)) },
];

/** Equal shapes and every kind of broadcast. */
const binary = (apply: Pairs, low = -1, high = 1, apart = false): Sample[] => {
  const shapes: [string, (n: number, m: number) => [number[], number[]]][] = [
    [
      'equal shapes',
      (n, m) => [
        [n, m],
        [n, m],
      ],
    ],
    ['row', (n, m) => [[n, m], [m]]],
    [
      'column',
      (n, m) => [
        [n, 1],
        [n, m],
      ],
    ],
    [
      'both sides',
      (n, m) => [
        [n, 1],
        [1, m],
      ],
    ],
    ['scalar', (n, m) => [[n, m], []]],
    ['leading axes', (n, m) => [[m], [2, n, m]]],
  ];
  return shapes.map(([title, shape]) => ({
    title,
    build: (g, d) => {
      const [a, b] = shape(d.size(), d.size());
      const make = (dims: number[]) => (apart ? d.apart(dims) : d.value(dims, low, high));
      return apply(make(a), make(b), g);
    },
  }));
};

const one = (title: string, build: Build, float?: 'float32'): Sample => ({ title, build, ...(float && { float }) });

const floatOf = (g: GraphBuilder, x: Value, condition: Value) => g.mul(x, g.op('Cast', [condition], { to: g.float }));

export const samples: { readonly [T in OpType]: readonly Sample[] } = {
  Abs: [one('away from 0', (g, d) => g.op('Abs', [d.apart([3, 4])]))],
  Add: binary((a, b, g) => g.add(a, b)),
  Sub: binary((a, b, g) => g.sub(a, b)),
  Mul: binary((a, b, g) => g.mul(a, b)),
  Div: binary((a, b, g) => g.div(a, b), 0.5, 2),
  Pow: binary((a, b, g) => g.op('Pow', [a, b]), 0.5, 2),
  Max: binary((a, b, g) => g.op('Max', [a, b]), -1, 1, true),
  Min: binary((a, b, g) => g.op('Min', [a, b]), -1, 1, true),
  And: [one('mask', (g, d) => floatOf(g, d.value([3, 4]), g.op('And', [d.bool([3, 4]), d.bool([4])])))],
  Or: [one('mask', (g, d) => floatOf(g, d.value([3, 4]), g.op('Or', [d.bool([3, 4]), d.bool([3, 1])])))],
  Not: [one('mask', (g, d) => floatOf(g, d.value([3, 4]), g.op('Not', [d.bool([3, 4])])))],
  Equal: [one('mask', (g, d) => floatOf(g, d.value([5]), g.op('Equal', [d.indices([5], 2), d.indices([5], 2)])))],
  Greater: [
    one('mask', (g, d) =>
      floatOf(g, d.value([5]), g.op('Greater', [g.constant(tensorOf(g.float, [5], [1, 2, 3, 0, -1])), g.scalar(0.5)])),
    ),
  ],
  Less: [
    one('mask', (g, d) =>
      floatOf(g, d.value([5]), g.op('Less', [g.constant(tensorOf(g.float, [5], [1, 2, 3, 0, -1])), g.scalar(0.5)])),
    ),
  ],
  Cast: [one('of a mask', (g, d) => floatOf(g, d.value([3, 2]), d.bool([3, 2])))],
  Exp: unary((g, x) => g.op('Exp', [x])),
  Identity: unary((g, x) => g.op('Identity', [x])),
  Log: unary((g, x) => g.op('Log', [x]), 0.5, 2),
  Neg: unary((g, x) => g.op('Neg', [x])),
  Reciprocal: unary((g, x) => g.op('Reciprocal', [x]), 0.5, 2),
  Sqrt: unary((g, x) => g.op('Sqrt', [x]), 0.5, 2),
  Where: [
    one('equal shapes', (g, d) => g.op('Where', [d.bool([3, 4]), d.value([3, 4]), d.value([3, 4])])),
    one('broadcast', (g, d) => g.op('Where', [d.bool([2, 3, 4]), d.value([4]), d.value([3, 1])])),
    one('scalar branch', (g, d) => g.op('Where', [d.bool([3, 4]), d.value([3, 4]), g.scalar(0)])),
  ],
  Erf: [one('float32 only', (g, d) => g.op('Erf', [d.value([3, 4], -2, 2)]), 'float32')],
  Round: [
    one('a factor', (g, d) => {
      const x = d.apart([3, 4]);
      return g.mul(x, g.op('Round', [g.scale(x, 2.01)]));
    }),
  ],
  Relu: [one('away from 0', (g, d) => g.op('Relu', [d.apart([3, 4])]))],
  Sigmoid: unary((g, x) => g.op('Sigmoid', [x]), -3, 3),
  Softmax: [
    one('last axis', (g, d) => g.op('Softmax', [d.value([d.size(), d.size(2, 5)], -2, 2)], { axis: -1 })),
    one('first axis', (g, d) => g.op('Softmax', [d.value([4, 3], -2, 2)], { axis: 0 })),
    one('four axes', (g, d) => g.op('Softmax', [d.value([2, 2, 3, 4], -2, 2)], { axis: 3 })),
  ],
  Tanh: unary((g, x) => g.op('Tanh', [x]), -2, 2),
  Gemm: [false, true].flatMap((a) =>
    [false, true].flatMap((b) =>
      ['none', 'row', 'matrix'].map((c) =>
        one(`transA ${a}, transB ${b}, C ${c}`, (g, d) => {
          const [m, k, n] = [d.size(), d.size(), d.size()];
          return g.op(
            'Gemm',
            [
              d.value(a ? [k, m] : [m, k]),
              d.value(b ? [n, k] : [k, n]),
              c === 'none' ? undefined : d.value(c === 'row' ? [n] : [m, n]),
            ],
            { transA: Number(a), transB: Number(b), alpha: 0.5, beta: 2 },
          );
        }),
      ),
    ),
  ),
  MatMul: [
    one('matrices', (g, d) => g.op('MatMul', [d.value([3, 2]), d.value([2, 4])])),
    one('one right matrix', (g, d) => g.op('MatMul', [d.value([2, 3, 2]), d.value([2, 4])])),
    one('batch', (g, d) => g.op('MatMul', [d.value([2, 2, 3, 2]), d.value([2, 2, 2, 4])])),
    one('batch with broadcast', (g, d) => g.op('MatMul', [d.value([2, 1, 3, 2]), d.value([3, 2, 4])])),
    one('left matrix', (g, d) => g.op('MatMul', [d.value([3, 2]), d.value([2, 2, 4])])),
  ],
  ReduceLogSumExp: [
    one('last axis', (g, d) => g.op('ReduceLogSumExp', [d.value([3, 4], -3, 3)], { axes: [1], keepdims: 1 })),
    one('dropped axes', (g, d) => g.op('ReduceLogSumExp', [d.value([2, 3, 4])], { axes: [0, 2], keepdims: 0 })),
  ],
  ReduceMax: [
    one('kept', (g, d) => g.op('ReduceMax', [d.apart([3, 4])], { axes: [1], keepdims: 1 })),
    one('dropped', (g, d) => g.op('ReduceMax', [d.apart([2, 3, 2])], { axes: [0, -1], keepdims: 0 })),
  ],
  ReduceMean: [
    one('kept', (g, d) => g.op('ReduceMean', [d.value([2, 3, 4])], { axes: [-1], keepdims: 1 })),
    one('dropped', (g, d) => g.op('ReduceMean', [d.value([2, 3, 4])], { axes: [0, 1], keepdims: 0 })),
  ],
  ReduceSum: [
    one('all', (g, d) => g.total(d.value([2, 3]))),
    one('middle', (g, d) => g.sum(d.value([2, 3, 4]), [1])),
    one('negative axis, kept', (g, d) => g.sum(d.value([2, 3, 4]), [-1], 1)),
  ],
  ReduceSumSquare: [
    one('all', (g, d) => g.op('ReduceSumSquare', [d.value([2, 3])], { axes: [0, 1], keepdims: 0 })),
    one('last', (g, d) => g.op('ReduceSumSquare', [d.value([2, 3])], { axes: [-1], keepdims: 1 })),
  ],
  LayerNormalization: [
    one('last axis', (g, d) =>
      g.op('LayerNormalization', [d.value([3, 5], -2, 2), d.value([5]), d.value([5])], { axis: -1, epsilon: 1e-3 }),
    ),
    one('three axes', (g, d) =>
      g.op('LayerNormalization', [d.value([2, 3, 4]), d.value([4]), d.value([4])], { axis: -1, epsilon: 1e-12 }),
    ),
  ],
  Concat: [one('three', (g, d) => g.op('Concat', [d.value([2, 1]), d.value([2, 3]), d.value([2, 2])], { axis: -1 }))],
  ConstantOfShape: [one('added', (g, d) => g.add(d.value([2, 3]), g.zeros([2, 3])))],
  Expand: [
    one('new axes', (g, d) => g.op('Expand', [d.value([3, 1]), g.ints([2, 3, 4])])),
    one('scalar', (g, d) => g.op('Expand', [d.value([]), g.ints([2, 3])])),
  ],
  Pad: [one('both sides', (g, d) => g.op('Pad', [d.value([2, 3]), g.ints([1, 0, 2, 3]), g.scalar(0)]))],
  Reshape: [
    one('explicit', (g, d) => g.reshape(d.value([2, 6]), [3, 4])),
    one('copied and inferred', (g, d) => g.reshape(d.value([2, 3, 4]), [0, -1])),
  ],
  Shape: [
    one('of the input', (g, d) => {
      const x = d.value([2, 3]);
      const size = g.op('Cast', [g.op('Shape', [x])], { to: g.float });
      return g.mul(x, g.op('ReduceMean', [size], { axes: [0], keepdims: 0 }));
    }),
  ],
  Slice: [
    one('inner', (g, d) => g.op('Slice', [d.value([4, 5]), g.ints([1, 0]), g.ints([3, 2]), g.ints([0, 1])])),
    one('negative and clamped', (g, d) => g.op('Slice', [d.value([4, 5]), g.ints([-2]), g.ints([99]), g.ints([-1])])),
  ],
  Squeeze: [one('two', (g, d) => g.op('Squeeze', [d.value([1, 3, 1]), g.ints([0, -1])]))],
  Unsqueeze: [one('two', (g, d) => g.op('Unsqueeze', [d.value([3, 2]), g.ints([0, 2])]))],
  Transpose: [one('four axes', (g, d) => g.transpose(d.value([2, 3, 4, 2]), [2, 0, 3, 1]))],
  Gather: [
    one('repeated rows', (g, d) => g.op('Gather', [d.value([4, 3]), d.indices([2, 5], 4)], { axis: 0 })),
    one('vector', (g, d) => g.op('Gather', [d.value([4]), d.indices([6], 4)], { axis: 0 })),
  ],
  GatherElements: [
    one('labels', (g, d) => g.op('GatherElements', [d.value([4, 3]), d.indices([4, 1], 3)], { axis: 1 })),
    one('repeated', (g, d) => g.op('GatherElements', [d.value([4, 3]), d.indices([6, 3], 4)], { axis: 0 })),
  ],
  ScatterElements: [
    one('repeated', (g, d) =>
      g.op('ScatterElements', [d.value([4, 3]), d.indices([6, 3], 4), d.value([6, 3])], { axis: 0, reduction: 'add' }),
    ),
  ],
};

/** Types and shapes that operators infer, symbolic dimensions included; and what they refuse. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { printType, tensorOf, type DType, type Shape } from '../../src/graph/index.ts';
import { broadcastAxes, broadcastShapes, GraphBuilder, type Value } from '../../src/ops/index.ts';

/** An input of a shape, `float32` unless said otherwise. */
type Make = (shape: Shape, dtype?: DType) => Value;
type Build = (g: GraphBuilder, x: Make) => Value | readonly Value[];

const cases: Readonly<Record<string, readonly [Build, string]>> = {
  'elementwise, broadcast': [(g, x) => g.add(x(['b', 1, 4]), x([3, 1])), 'float32[b,3,4]'],
  'elementwise, a symbol beside its size': [(g, x) => g.mul(x(['b', 2]), x([5, 2])), 'float32[5,2]'],
  comparison: [(g, x) => g.op('Less', [x(['b', 2]), x([2])]), 'bool[b,2]'],
  'Where, all three broadcast': [(g, x) => g.op('Where', [x(['b', 1], 'bool'), x([3]), x([])]), 'float32[b,3]'],
  Cast: [(g, x) => g.op('Cast', [x(['b'])], { to: 'int64' }), 'int64[b]'],
  'MatMul, leading axes broadcast': [
    (g, x) => g.op('MatMul', [x(['b', 1, 's', 8]), x([4, 8, 's'])]),
    'float32[b,4,s,s]',
  ],
  'Gemm, both transposed': [
    (g, x) => g.op('Gemm', [x([3, 'n']), x([5, 3]), undefined], { transA: 1, transB: 1 }),
    'float32[n,5]',
  ],
  'ReduceSum, axes from the back': [(g, x) => g.sum(x(['b', 's', 8]), [-1, 0]), 'float32[s]'],
  'ReduceMean keeps dimensions by default': [
    (g, x) => g.op('ReduceMean', [x(['b', 's', 8])], { axes: [1] }),
    'float32[b,1,8]',
  ],
  'the total of anything is a scalar': [(g, x) => g.total(x(['b', 's'])), 'float32[]'],
  LayerNormalization: [
    (g, x) => g.opAll('LayerNormalization', [x(['b', 's', 8], 'float64'), x([8]), x([8])], { axis: -1, epsilon: 1e-5 }),
    'float64[b,s,8] float32[b,s,1] float32[b,s,1]',
  ],
  'Gather, rows by a matrix': [
    (g, x) => g.op('Gather', [x([30, 8]), x(['b', 's'], 'int64')], { axis: 0 }),
    'float32[b,s,8]',
  ],
  'Gather, last axis by a scalar': [
    (g, x) => g.op('Gather', [x([30, 8]), x([], 'int64')], { axis: -1 }),
    'float32[30]',
  ],
  GatherElements: [(g, x) => g.op('GatherElements', [x(['b', 9]), x(['b', 1], 'int64')], { axis: 1 }), 'float32[b,1]'],
  'Concat, sizes added': [(g, x) => g.op('Concat', [x(['b', 2]), x(['b', 3])], { axis: -1 }), 'float32[b,5]'],
  'Concat, a symbol among them': [
    (g, x) => g.op('Concat', [x(['b', 's']), x(['c', 3])], { axis: 1 }),
    'float32[b,s+3]',
  ],
  Expand: [(g, x) => g.op('Expand', [x(['b', 1]), g.ints([2, 1, 4])]), 'float32[2,b,4]'],
  'Pad, a symbol left alone and another grown': [
    (g, x) => g.op('Pad', [x(['b', 's', 4]), g.ints([0, 1, 2, 0, 2, 0]), g.scalar(0)]),
    'float32[b,s+3,6]',
  ],
  Shape: [(g, x) => g.op('Shape', [x(['b', 's', 8])], { start: 1, end: 3 }), 'int64[2]'],
  'Squeeze and Unsqueeze': [
    (g, x) => [g.op('Squeeze', [x([1, 'b', 1]), g.ints([0, -1])]), g.op('Unsqueeze', [x(['b', 2]), g.ints([0, -1])])],
    'float32[b] float32[1,b,2,1]',
  ],
  Transpose: [(g, x) => g.transpose(x(['b', 's', 4, 2]), [0, 2, 1, 3]), 'float32[b,4,s,2]'],
  ConstantOfShape: [(g) => g.zeros([2, 3]), 'float32[2,3]'],
  'Reshape, 0 keeps and -1 takes the rest': [(g, x) => g.reshape(x([2, 3, 8]), [0, -1, 4]), 'float32[2,6,4]'],
  'Reshape, symbols kept': [(g, x) => g.reshape(x(['b', 's', 12]), [0, 0, 4, 3]), 'float32[b,s,4,3]'],
  'Reshape, a symbol is the rest': [(g, x) => g.reshape(x(['b', 's', 4, 3]), [-1, 0, 12]), 'float32[b,s,12]'],
  'Reshape, a symbol cancelled': [(g, x) => g.reshape(x(['b', 's', 12]), [0, -1]), 'float32[b,s*12]'],
  'Reshape, two symbols in one': [(g, x) => g.reshape(x(['b', 's', 12]), [-1, 12]), 'float32[b*s,12]'],
  'Reshape to the same shape is nothing': [(g, x) => g.reshape(x([2, 3]), [2, 3]), 'float32[2,3]'],
  'Slice, clamped': [
    (g, x) => g.op('Slice', [x([5, 6, 7]), g.ints([-2, 4]), g.ints([9, 1]), g.ints([0, 2])]),
    'float32[2,6,0]',
  ],
  'Slice with a computed end': [
    (g, x) => {
      const end = g.op('Shape', [x(['b', 's'], 'int64')], { start: 1, end: 2 });
      return g.op('Slice', [x([512, 8]), g.ints([0]), end, g.ints([0])]);
    },
    'float32[Shape[0],8]',
  ],
};

const refused: Readonly<Record<string, readonly [Build, RegExp]>> = {
  'sizes that do not broadcast': [(g, x) => g.add(x([2, 3]), x([2, 2])), /shapes \[2,3\] and \[2,2\] do not broadcast/],
  'two element types': [(g, x) => g.add(x([2]), x([2], 'int64')), /x0 is float32, x1 is int64/],
  'MatMul of other inner sizes': [(g, x) => g.op('MatMul', [x([2, 3]), x([4, 2])]), /MatMul: inner sizes 3 and 4/],
  'MatMul of a vector': [(g, x) => g.op('MatMul', [x([3]), x([3, 2])]), /MatMul of vectors/],
  'Gemm of other inner sizes': [
    (g, x) => g.op('Gemm', [x([2, 3]), x([3, 2]), undefined], { transA: 1 }),
    /Gemm: inner sizes 2 and 3/,
  ],
  'Gemm of more than matrices': [
    (g, x) => g.op('Gemm', [x([1, 2, 3]), x([3, 2]), undefined], {}),
    /Gemm takes matrices/,
  ],
  'Reshape to another number of elements': [
    (g, x) => g.op('Reshape', [x([2, 3]), g.ints([4])]),
    /\[2,3\] cannot be reshaped to \[4\]/,
  ],
  'Reshape to half an element': [(g, x) => g.reshape(x([2, 3]), [4, -1]), /cannot be reshaped to \[4,-1\]/],
  'Reshape, 0 for an axis that is not there': [(g, x) => g.reshape(x(['b', 2]), [0, 0, 0]), /cannot be reshaped/],
  'Reshape by a computed shape': [
    (g, x) => g.op('Reshape', [x([2, 3]), g.op('Shape', [x([6])])]),
    /the shape of Reshape must be a constant/,
  ],
  'ReduceSum over computed axes': [(g, x) => g.op('ReduceSum', [x([2, 3]), x([1], 'int64')]), /axes of ReduceSum/],
  'an axis that is not there': [(g, x) => g.sum(x([2, 3]), [2]), /axis 2 of 2 axes/],
  'an axis before the first': [
    (g, x) => g.op('Gather', [x([2, 3]), x([], 'int64')], { axis: -3 }),
    /axis -3 of 2 axes/,
  ],
  'Concat of other sizes': [
    (g, x) => g.op('Concat', [x([2, 3]), x([3, 3])], { axis: 1 }),
    /Concat of float32 \[2,3\], float32 \[3,3\]/,
  ],
  'a permutation that is none': [(g, x) => g.transpose(x([2, 3]), [0, 0]), /perm \[0,0\] on \[2,3\]/],
  'a permutation of fewer axes': [(g, x) => g.transpose(x([2, 3]), [0]), /perm \[0\] on \[2,3\]/],
};

function run(build: Build): string {
  const g = new GraphBuilder();
  let count = 0;
  const results = build(g, (shape, dtype = 'float32') => g.input(`x${count++}`, dtype, shape));
  return (Array.isArray(results) ? (results as Value[]) : [results as Value]).map(printType).join(' ');
}

describe('inference', () => {
  for (const [title, [build, expected]] of Object.entries(cases)) it(title, () => assert.equal(run(build), expected));
});

describe('inference refuses', () => {
  for (const [title, [build, message]] of Object.entries(refused))
    it(title, () =>
      assert.throws(
        () => run(build),
        (error: Error) => {
          assert.match(error.message, /^internal: /);
          assert.match(error.message, message);
          return true;
        },
      ),
    );
});

describe('broadcasting', () => {
  const shapes: readonly [Shape[], Shape][] = [
    [[[], []], []],
    [
      [[2, 3], []],
      [2, 3],
    ],
    [
      [[3], [2, 1]],
      [2, 3],
    ],
    [[[1], ['n']], ['n']],
    [[['n'], ['m']], ['n']],
    [
      [['b', 1, 1], ['s'], [4, 1]],
      ['b', 4, 's'],
    ],
    [[[0], [1]], [0]],
  ];
  for (const [given, expected] of shapes)
    it(`of ${given.map((shape) => `[${shape.join()}]`).join(' and ')}`, () =>
      assert.deepEqual(broadcastShapes(...given), expected));

  const axes: readonly [Shape, Shape, number[]][] = [
    [[2, 3], [2, 3], []],
    [[2, 3], [3], [0]],
    [
      [2, 3, 4],
      [3, 1],
      [0, 2],
    ],
    [[2, 1], [1, 1], [0]],
    [[2, 3], [], [0, 1]],
  ];
  for (const [from, to, expected] of axes)
    it(`axes along which [${to.join()}] became [${from.join()}]`, () =>
      assert.deepEqual(broadcastAxes(from, to), expected));
});

it('a constant is known, a computed value is not', () => {
  const g = new GraphBuilder();
  const x = g.input('x', 'int64', [2]);
  assert.deepEqual(g.constantOf(g.ints([1, 2])), tensorOf('int64', [2], [1, 2]));
  assert.equal(g.constantOf(x), undefined);
  assert.equal(g.constantOf(g.op('Identity', [g.ints([1])])), undefined);
});

/** Names, constants, outputs and attributes of built graphs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkGraph, numbersOf, printGraph, tensorOf, type Graph } from '../../src/graph/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';

function built(build: (g: GraphBuilder) => void, float?: 'float64'): Graph {
  const g = new GraphBuilder(float);
  build(g);
  const graph = g.build('built');
  checkGraph(graph);
  return graph;
}

describe('names', () => {
  it('are numbered, and begin with their scope', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [2]);
    const names = [g.add(x, x), g.add(x, x), g.scope('a', () => g.scope('b', () => g.add(x, x))), g.add(x, x)];
    assert.deepEqual(
      names.map(({ name }) => name),
      ['Add', 'Add_1', 'a/b/Add', 'Add_2'],
    );
  });

  it('leave a scope that fails', () => {
    const g = new GraphBuilder();
    const fails = () =>
      g.scope('inner', () => {
        throw new Error('inside');
      });
    assert.throws(fails, /inside/);
    assert.equal(g.scalar(1).name, 'const');
  });

  it('do not meet those that are given', () => {
    const graph = built((g) => {
      const x = g.input('Add_1', 'float32', [2]);
      const w = g.initializer('Add_2', tensorOf('float32', [2], [1, 2]));
      const sums = [g.add(x, w), g.add(x, w), g.add(x, w)];
      sums.forEach((sum, i) => g.output(`y${i}`, g.mul(sum, sum)));
    });
    assert.deepEqual(
      graph.nodes.slice(0, 3).map(({ outputs: [name] }) => name),
      ['Add', 'Add_3', 'Add_4'],
    );
  });

  const twice: Readonly<Record<string, (g: GraphBuilder) => void>> = {
    'two inputs': (g) => ['x', 'x'].forEach((name) => g.input(name, 'float32', [])),
    'an input and an initializer': (g) => {
      g.input('x', 'float32', []);
      g.initializer('x', tensorOf('float32', [], [1]));
    },
    'an output and an input': (g) => g.output('x', g.input('x', 'float32', [])),
    'two outputs': (g) => ['y', 'y'].forEach((name) => g.output(name, g.scalar(1))),
    'an output and a made name': (g) => g.output('Abs_1', ['', ''].map(() => g.op('Abs', [g.scalar(1)])).at(-1)!),
  };
  for (const [title, build] of Object.entries(twice))
    it(`cannot be given twice: ${title}`, () =>
      assert.throws(() => build(new GraphBuilder()), /internal: the name \w+ is used twice/));
});

describe('constants', () => {
  it('that are equal are made once', () => {
    const g = new GraphBuilder();
    assert.equal(g.scalar(0.5), g.scalar(0.5));
    assert.equal(g.ints([1, 2]), g.ints([1, 2]));
    assert.equal(g.scalar(NaN), g.scalar(NaN));
    const shared = g.scope('inner', () => g.scalar(0.5));
    assert.equal(shared, g.scalar(0.5));
  });

  it('that differ in type, shape or sign of zero are not', () => {
    const g = new GraphBuilder();
    const constants = [
      g.scalar(0),
      g.scalar(-0),
      g.scalar(0, 'float64'),
      g.scalar(0, 'int64'),
      g.ints([0]),
      g.constant(tensorOf('float32', [1], [0])),
      g.constant(tensorOf('float32', [1, 1], [0])),
    ];
    assert.equal(new Set(constants.map(({ name }) => name)).size, constants.length);
    assert.ok(Object.is(numbersOf(g.constantOf(constants[1]!)!)[0], -0));
  });

  it('have the type of the builder', () => {
    assert.equal(new GraphBuilder().scalar(1).dtype, 'float32');
    assert.equal(new GraphBuilder('float64').scalar(1).dtype, 'float64');
    assert.equal(new GraphBuilder('float64').zeros([2]).dtype, 'float64');
  });

  it('keep scale by 1 from making a node', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [2]);
    assert.equal(g.scale(x, 1), x);
    assert.equal(g.calls.length, 0);
  });
});

describe('build', () => {
  it('keeps what the outputs need, in order, under their names', () => {
    const graph = built((g) => {
      const x = g.input('x', 'float32', [2, 3]);
      g.input('unused', 'int64', ['n']);
      const w = g.initializer('w', tensorOf('float32', [3], [1, 2, 3]));
      g.initializer('no use', tensorOf('float32', [1], [1]));
      const sum = g.add(x, w);
      g.op('Exp', [sum]);
      const [normal] = g.opAll('LayerNormalization', [sum, w, w], { axis: -1, epsilon: 0.5 });
      g.output('sum', sum);
      g.output('again', sum);
      g.output(
        'y',
        g.scope('head', () => g.op('Gemm', [normal!, x, undefined], { transB: 1 })),
      );
      g.output('input', x);
      g.output('weight', w);
    });
    assert.equal(
      printGraph(graph),
      `graph built
  input x: float32[2,3]
  input unused: int64[n]
  initializer w: float32[3]{1,2,3}
  sum = Add(x, w)
  LayerNormalization, LayerNormalization_1, LayerNormalization_2 = LayerNormalization(sum, w, w){axis=-1, epsilon=0.5}
  again = Identity(sum)
  y = Gemm(LayerNormalization, x, ){transB=1}
  input = Identity(x)
  weight = Identity(w)
  output sum: float32[2,3]
  output again: float32[2,3]
  output y: float32[2,2]
  output input: float32[2,3]
  output weight: float32[3]
`,
    );
  });

  it('can be done at any time, and is not changed by what comes after', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [2]);
    const y = g.op('Neg', [x]);
    g.output('y', y);
    const first = g.build('first');
    const text = printGraph(first);
    g.output('z', g.mul(y, g.scalar(3)));
    assert.equal(printGraph(first), text);
    assert.deepEqual(
      g.build('second').outputs.map(({ name }) => name),
      ['y', 'z'],
    );
  });

  it('gives every attribute its type', () => {
    const graph = built((g) => {
      const x = g.input('x', 'float32', [2, 3]);
      const rows = g.input('rows', 'int64', [2, 3]);
      const values = [
        g.op('Cast', [x], { to: 'float64' }),
        g.op('Softmax', [x], { axis: 1 }),
        g.op('Gemm', [x, x, undefined], { alpha: 2, transB: 1 }),
        g.transpose(x, [1, 0]),
        g.op('ScatterElements', [x, rows, x], { axis: 0, reduction: 'add' }),
        g.zeros([1]),
      ];
      values.forEach((value, i) => g.output(`y${i}`, value));
    });
    assert.deepEqual(
      graph.nodes.map(({ attributes }) => attributes),
      [
        { to: { type: 'int', value: 11 } },
        { axis: { type: 'int', value: 1 } },
        { alpha: { type: 'float', value: 2 }, transB: { type: 'int', value: 1 } },
        { perm: { type: 'ints', value: [1, 0] } },
        { axis: { type: 'int', value: 0 }, reduction: { type: 'string', value: 'add' } },
        { value: { type: 'tensor', value: tensorOf('float32', [1], [0]) } },
      ],
    );
  });

  it('refuses an attribute that the operator does not have', () => {
    const g = new GraphBuilder();
    g.output('y', g.op('Neg', [g.scalar(1)], { axis: 0 }));
    assert.throws(() => g.build('wrong'), /internal: Neg has no attribute axis/);
  });
});

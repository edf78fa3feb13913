/** The reverse walk: what adds up, what is not reached, what must not be differentiated. Rules are tested in test/ops. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gradients } from '../../src/autodiff/index.ts';
import { checkGraph, modelOf, numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { GraphBuilder, ops, type OpEntry, type OpTable, type Value } from '../../src/ops/index.ts';
import { runModel } from '../support/run-model.ts';

interface Case {
  /** Inputs of the graph: shape and values. */
  readonly inputs: Readonly<Record<string, readonly [readonly number[], readonly number[]]>>;
  readonly loss: (g: GraphBuilder, inputs: Record<string, Value>) => Value;
  /** Gradients of inputs; those that are undefined must not exist. */
  readonly expected: Readonly<Record<string, readonly number[] | undefined>>;
}

const scalar = (value: number) => [[], [value]] as const;

const cases: Readonly<Record<string, Case>> = {
  // L = x² + x·y + x
  'a value used several times': {
    inputs: { x: scalar(3), y: scalar(5) },
    loss: (g, { x, y }) => g.add(g.add(g.mul(x!, x!), g.mul(x!, y!)), x!),
    expected: { x: [2 * 3 + 5 + 1], y: [3] },
  },
  // u = x², L = u·u + 3u: both uses of u go back through x² once
  'an inner value used several times': {
    inputs: { x: scalar(2) },
    loss: (g, { x }) => {
      const u = g.mul(x!, x!);
      return g.add(g.mul(u, u), g.scale(u, 3));
    },
    expected: { x: [4 * 2 ** 3 + 6 * 2] },
  },
  // L = Σ (row + a)·(row·b), row [2] against a, b [3,2]: dL/drow = Σ over rows of b·(2·row + a)
  'a value that was broadcast twice': {
    inputs: {
      row: [[2], [1, 2]],
      a: [
        [3, 2],
        [1, 2, 3, 4, 5, 6],
      ],
      b: [
        [3, 2],
        [1, 1, 2, 2, 3, 3],
      ],
    },
    loss: (g, { row, a, b }) => g.total(g.mul(g.add(row!, a!), g.mul(row!, b!))),
    expected: {
      row: [3 + 2 * 5 + 3 * 7, 6 + 2 * 8 + 3 * 10],
      a: [1, 2, 2, 4, 3, 6],
      b: [2, 8, 4, 12, 6, 16],
    },
  },
  // L = Σ column·row: each is summed over the axis of the other, sizes of 1 kept
  'both sides broadcast': {
    inputs: {
      column: [
        [2, 1],
        [2, 3],
      ],
      row: [
        [1, 3],
        [1, 10, 100],
      ],
    },
    loss: (g, { column, row }) => g.total(g.mul(column!, row!)),
    expected: { column: [111, 111], row: [5, 5, 5] },
  },
  'values that the loss does not depend on': {
    inputs: { x: scalar(2), y: scalar(3), z: scalar(4) },
    loss: (g, { x, z }) => {
      g.mul(z!, z!);
      return g.mul(x!, x!);
    },
    expected: { x: [4], y: undefined, z: undefined },
  },
  'values that reach the loss through comparisons, shapes and conditions only': {
    inputs: { x: [[2], [1, -1]], y: [[2], [0, 0]] },
    loss: (g, { x, y }) => {
      const positive = g.op('Greater', [y!, x!]);
      const count = g.op('Cast', [g.op('Shape', [y!])], { to: 'float32' });
      return g.total(g.mul(g.op('Where', [positive, x!, g.scale(x!, 2)]), count));
    },
    expected: { x: [4, 2], y: undefined },
  },
  'values that pass through integers': {
    inputs: { x: scalar(2), y: scalar(3) },
    loss: (g, { x, y }) => g.mul(x!, g.op('Cast', [g.op('Cast', [y!], { to: 'int64' })], { to: 'float32' })),
    expected: { x: [3], y: undefined },
  },
  'the loss itself': {
    inputs: { x: scalar(2) },
    loss: (_, { x }) => x!,
    expected: { x: [1] },
  },
};

describe('gradients', () => {
  for (const [title, { inputs, loss: build, expected }] of Object.entries(cases))
    it(title, async () => {
      const g = new GraphBuilder();
      const values = Object.fromEntries(
        Object.entries(inputs).map(([name, [shape]]) => [name, g.input(name, 'float32', shape)]),
      );
      const names = Object.keys(expected);
      const found = gradients(
        g,
        build(g, values),
        names.map((name) => values[name]!),
      );
      g.output('forward', g.scalar(0));
      found.forEach((gradient, i) => gradient && g.output(`d${names[i]}`, gradient));
      const graph = g.build('gradients');
      checkGraph(graph);
      const feeds = new Map<string, Tensor>();
      for (const [name, [shape, numbers]] of Object.entries(inputs))
        feeds.set(name, tensorOf('float32', shape, numbers));
      const results = await (await runModel(modelOf(graph)))(feeds);
      names.forEach((name, i) => {
        const wanted = expected[name];
        assert.equal(found[i] !== undefined, wanted !== undefined, `gradient of ${name}`);
        if (!wanted) return;
        assert.deepEqual(numbersOf(results[`d${name}`]!), wanted, name);
        assert.deepEqual(results[`d${name}`]!.dims, inputs[name]![0], `shape of the gradient of ${name}`);
      });
    });

  it('of an inner value are those of what comes after it', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', []);
    const u = g.mul(x, x);
    const [du] = gradients(g, g.op('Neg', [u]), [u]);
    assert.deepEqual(du?.shape, []);
    assert.ok(g.calls.filter(({ type }) => type === 'Mul').length === 1, 'nothing is made for what is before it');
  });

  it('are made for the inputs that are wanted only', () => {
    const g = new GraphBuilder();
    const [x, w] = [g.input('x', 'float32', [2, 3]), g.input('w', 'float32', [3, 4])];
    const loss = g.total(g.op('MatMul', [x, w]));
    const before = g.calls.length;
    gradients(g, loss, [w]);
    const made = g.calls.slice(before);
    assert.equal(made.filter(({ type }) => type === 'Gemm').length, 1, 'dW, and no dX');
  });
});

describe('mistakes', () => {
  it('a loss that is no scalar', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [1]);
    assert.throws(() => gradients(g, g.op('Exp', [x]), [x]), /internal: the loss must be a scalar, Exp has \[1\]/);
  });

  it('the gradient of a second output', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [2, 3]);
    const scale = g.input('scale', 'float32', [3]);
    const [, mean] = g.opAll('LayerNormalization', [x, scale, scale], { axis: -1, epsilon: 1e-5 });
    assert.throws(() => gradients(g, g.total(mean!), [x]), /only the first output of LayerNormalization/);
  });

  it('a broadcast that cannot be undone without sizes', () => {
    const g = new GraphBuilder();
    const row = g.input('row', 'float32', ['n']);
    const loss = g.total(g.add(row, g.input('x', 'float32', [3, 4])));
    assert.throws(() => gradients(g, loss, [row]), /internal: a gradient needs the static shape of row/);
  });

  describe('an operator that must not be differentiated', () => {
    /** Runs with Abs declared as forbidden. */
    function withForbidden(test: (g: GraphBuilder, x: Value) => void): void {
      const table = ops as { -readonly [K in keyof OpTable]: OpTable[K] };
      const kept: OpEntry<'Abs'> = ops.Abs;
      table.Abs = { ...kept, gradient: 'forbidden' };
      try {
        const g = new GraphBuilder();
        test(g, g.input('x', 'float32', []));
      } finally {
        table.Abs = kept;
      }
    }

    it('is refused on the way from the loss', () =>
      withForbidden((g, x) =>
        assert.throws(
          () => gradients(g, g.op('Exp', [g.op('Abs', [x])]), [x]),
          /internal: Abs must not be differentiated/,
        ),
      ));

    it('may be used beside it', () =>
      withForbidden((g, x) => {
        const y = g.input('y', 'float32', []);
        const [dy] = gradients(g, g.mul(y, g.op('Abs', [x])), [y]);
        assert.equal(dy?.name, 'Mul_1');
      }));
  });
});

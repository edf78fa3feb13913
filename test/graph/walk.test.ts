/** Who makes and who reads a value, in graphs with subgraphs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ancestors,
  capturesOf,
  consumers,
  infoOf,
  producers,
  readsOf,
  tensorOf,
  topologicalOrder,
  type Graph,
  type Node,
} from '../../src/graph/index.ts';
import { graphOf, info, node } from '../onnx/samples.ts';

const deepest = graphOf({
  inputs: [info('own', [1])],
  initializers: new Map([['weight', tensorOf('float32', [1], [1])]]),
  nodes: [node('Add', ['own', 'weight'], ['u']), node('Mul', ['u', 'b'], ['v'])],
  outputs: [info('v', [1])],
});
const branch = graphOf({
  nodes: [node('Abs', ['a'], ['t']), node('Loop', ['', 't'], ['l'], { body: { type: 'graph', value: deepest } })],
  outputs: [info('l', [1]), info('x', [1])],
});
const a = node('Neg', ['x'], ['a', '']);
const b = node('Exp', ['x', ''], ['b']);
const choice = node('If', ['c'], ['y', 'z'], { then_branch: { type: 'graph', value: branch } });
const twice = node('Mul', ['a', 'a'], ['square']);
const graph = graphOf({
  inputs: [info('x', [1]), info('c', [], 'bool')],
  outputs: [info('y', [1])],
  nodes: [a, b, choice, twice],
  values: new Map([['a', info('a', ['n'])]]),
  initializers: new Map([['w', tensorOf('int64', [2], [1, 2])]]),
});

describe('wiring', () => {
  it('capturesOf names what a subgraph takes from outside, at any depth', () => {
    assert.deepEqual(capturesOf(deepest), ['b']);
    assert.deepEqual(capturesOf(branch), ['a', 'b', 'x']);
    assert.deepEqual(capturesOf(graph), []);
  });

  it('readsOf is inputs and captures, without omitted ones', () => {
    assert.deepEqual(readsOf(b), ['x']);
    assert.deepEqual(readsOf(choice), ['c', 'a', 'b', 'x']);
  });

  it('producers has every output but the omitted', () => {
    assert.deepEqual(
      [...producers(graph)],
      [
        ['a', a],
        ['b', b],
        ['y', choice],
        ['z', choice],
        ['square', twice],
      ],
    );
  });

  it('consumers lists a node once per use', () => {
    const readers = consumers(graph);
    assert.deepEqual(readers.get('x'), [a, b, choice]);
    assert.deepEqual(readers.get('a'), [choice, twice, twice]);
    assert.deepEqual(readers.get('y'), undefined);
    assert.equal(readers.has(''), false);
  });

  it('infoOf asks values, initializers, inputs and outputs', () => {
    const known = ['a', 'w', 'c', 'y', 'b'].map((name) => infoOf(graph, name)?.shape);
    assert.deepEqual(known, [['n'], [2], [], [1], undefined]);
    assert.equal(infoOf(graph, 'w')?.dtype, 'int64');
  });
});

describe('ancestors', () => {
  const cases: readonly [string[], Node[]][] = [
    [['square'], [a, twice]],
    [['y'], [a, b, choice]],
    [
      ['z', 'square'],
      [a, b, choice, twice],
    ],
    [['x'], []],
    [[], []],
  ];
  for (const [names, expected] of cases)
    it(`of ${names.join(' and ') || 'nothing'}`, () => assert.deepEqual(ancestors(graph, names), expected));
});

describe('topologicalOrder', () => {
  const ordered = (nodes: readonly Node[]) => topologicalOrder({ ...graph, nodes });

  it('keeps an order that is right already', () => assert.deepEqual(ordered(graph.nodes), graph.nodes));

  it('puts makers before readers, captures included', () => {
    assert.deepEqual(ordered([choice, twice, b, a]), [a, b, choice, twice]);
  });

  it('goes as deep as the graph', () => {
    const count = 20_000;
    const chain = Array.from({ length: count }, (_, i) => node('Neg', [`v${i}`], [`v${i + 1}`])).reverse();
    const order = ordered(chain);
    assert.equal(order.length, count);
    assert.equal(order[0], chain.at(-1));
  });

  const cycles: Readonly<Record<string, Graph['nodes']>> = {
    'of one node': [node('Neg', ['p'], ['p'])],
    'of two nodes': [node('Neg', ['q'], ['p']), node('Abs', ['p'], ['q'])],
    'through a capture': [{ ...choice, outputs: ['b'] }],
  };
  for (const [title, nodes] of Object.entries(cycles))
    it(`refuses a cycle ${title}`, () =>
      assert.throws(() => ordered(nodes), {
        code: 'invalid-graph',
        message: /sample has a cycle through node (Neg|If)/,
      }));
});

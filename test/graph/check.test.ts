/** Every way in which a graph can be wrong. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkGraph, tensorOf, type Graph } from '../../src/graph/index.ts';
import { graphOf, info, node } from '../onnx/samples.ts';

const x = info('x', [2]);
const y = info('y', [2]);
const w = tensorOf('float32', [2], [1, 2]);

/** y = If(c) with a branch of the given parts, x and c around it. */
function withBranch(branch: Partial<Graph>, parts: Partial<Graph> = {}): Graph {
  return graphOf({
    inputs: [x, info('c', [], 'bool')],
    outputs: [y],
    nodes: [
      node('If', ['c'], ['y'], { then_branch: { type: 'graph', value: graphOf({ name: 'branch', ...branch }) } }),
    ],
    ...parts,
  });
}

const good: Readonly<Record<string, Graph>> = {
  'nothing at all': graphOf({}),
  'optional inputs and outputs left out': graphOf({
    inputs: [x],
    outputs: [y],
    nodes: [node('Op', ['x', '', 'x'], ['y', '']), node('Op', ['y', ''], ['z', ''])],
  }),
  'an input as an output': graphOf({ inputs: [x], outputs: [x] }),
  'an initializer as an output': graphOf({ initializers: new Map([['w', w]]), outputs: [info('w', [2])] }),
  'packed and text initializers': graphOf({
    initializers: new Map([
      ['packed', { dtype: 'int4', dims: [3], data: Uint8Array.of(1, 2) }],
      ['text', { dtype: 'string', dims: [], data: ['a'] }],
    ]),
  }),
  'a subgraph that captures': withBranch({ nodes: [node('Neg', ['x'], ['t'])], outputs: [info('t', [2])] }),
  'a subgraph that returns an outer value': withBranch({ outputs: [x] }),
};

const bad: Readonly<Record<string, readonly [Graph, RegExp]>> = {
  'two inputs of one name': [graphOf({ inputs: [x, x] }), /an input defines "x", which is already defined/],
  'an initializer named like an input': [
    graphOf({ inputs: [info('w', [2])], initializers: new Map([['w', w]]) }),
    /an initializer defines "w"/,
  ],
  'a value made twice': [
    graphOf({ inputs: [x], nodes: [node('Neg', ['x'], ['y']), { ...node('Abs', ['x'], ['y']), name: 'second' }] }),
    /graph sample: node second defines "y", which is already defined/,
  ],
  'a value made twice by one node': [
    graphOf({ inputs: [x], nodes: [node('Split', ['x'], ['y', 'y'])] }),
    /defines "y"/,
  ],
  'an initializer that is too short': [
    graphOf({ initializers: new Map([['w', { ...w, dims: [2, 3] }]]) }),
    /initializer w of shape \[2,3\] has 2 elements, not 6/,
  ],
  'a packed initializer that is too short': [
    graphOf({ initializers: new Map([['w', { dtype: 'int4', dims: [3], data: Uint8Array.of(1) }]]) }),
    /initializer w of shape \[3\] has 1 elements, not 2/,
  ],
  'an unknown input': [graphOf({ nodes: [node('Neg', ['x'], ['y'])] }), /node Neg reads "x" before it is made/],
  'a node before what it reads': [
    graphOf({ inputs: [x], nodes: [node('Neg', ['y'], ['z']), node('Abs', ['x'], ['y'])] }),
    /node Neg reads "y" before it is made/,
  ],
  'a node that reads itself': [graphOf({ nodes: [node('Neg', ['y'], ['y'])] }), /reads "y" before it is made/],
  'an output that nobody makes': [graphOf({ outputs: [y] }), /output "y" is never made/],
  'a subgraph that reads what nobody makes': [
    withBranch({ nodes: [node('Neg', ['u'], ['t'])] }),
    /graph branch: node Neg reads "u"/,
  ],
  'a subgraph that reads what is made later': [
    withBranch(
      { outputs: [info('late', [2])] },
      { outputs: [], nodes: [...withBranch({ outputs: [info('late', [2])] }).nodes, node('Neg', ['x'], ['late'])] },
    ),
    /graph branch: output "late" is never made/,
  ],
  'a subgraph that hides an outer name': [withBranch({ nodes: [node('Neg', ['x'], ['c'])] }), /defines "c"/],
  'a subgraph that returns what nobody makes': [withBranch({ outputs: [info('u', [2])] }), /output "u" is never made/],
};

describe('checkGraph accepts', () => {
  for (const [title, graph] of Object.entries(good)) it(title, () => checkGraph(graph));
});

describe('checkGraph refuses', () => {
  for (const [title, [graph, message]] of Object.entries(bad))
    it(title, () => assert.throws(() => checkGraph(graph), { name: 'KdxError', code: 'invalid-graph', message }));
});

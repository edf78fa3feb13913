/** The stable text of graphs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printGraph, printNode, tensorOf, type Attribute, type Node, type Tensor } from '../../src/graph/index.ts';
import { graphOf, info, node } from '../onnx/samples.ts';

const inner = graphOf({
  name: 'then',
  outputs: [info('t', undefined)],
  nodes: [node('Neg', ['x'], ['t'])],
});

test('a graph is one line per input, initializer, node and output, in their order', () => {
  const graph = graphOf({
    inputs: [info('x', ['batch', 2]), info('c', [], 'bool')],
    initializers: new Map<string, Tensor>([
      ['small', tensorOf('int64', [2], [-1, 2])],
      ['scalar', tensorOf('float32', [], [0.5])],
      ['large', tensorOf('float32', [3, 3], new Float32Array(9))],
      ['text', { dtype: 'string', dims: [1], data: ['a'] }],
    ]),
    nodes: [
      node('Gemm', ['x', '', 'large'], ['y', ''], {
        transB: { type: 'int', value: 1 },
        alpha: { type: 'float', value: 0.5 },
      }),
      { ...node('FusedMatMul', ['y', 'small'], ['z']), domain: 'com.microsoft', name: 'names are not printed' },
      node('If', ['c'], ['w'], { then_branch: { type: 'graph', value: inner } }),
    ],
    outputs: [info('z', ['batch', 'n*2'], 'float16'), info('w', undefined)],
  });
  assert.equal(
    printGraph(graph),
    `graph sample
  input x: float32[batch,2]
  input c: bool[]
  initializer small: int64[2]{-1,2}
  initializer scalar: float32[]{0.5}
  initializer large: float32[3,3]{...}
  initializer text: string[1]{a}
  y,  = Gemm(x, , large){alpha=0.5, transB=1}
  z = com.microsoft.FusedMatMul(y, small)
  w = If(c){then_branch={
graph then
  t = Neg(x)
  output t: float32[?]
}}
  output z: float16[batch,n*2]
  output w: float32[?]
`,
  );
});

const attributes: readonly [Attribute, string][] = [
  [{ type: 'int', value: -3 }, '-3'],
  [{ type: 'float', value: 1e-5 }, '0.00001'],
  [{ type: 'string', value: 'a "b"' }, '"a \\"b\\""'],
  [{ type: 'tensor', value: tensorOf('bool', [2], [1, 0]) }, 'bool[2]{1,0}'],
  [{ type: 'ints', value: [1, 2] }, '[1,2]'],
  [{ type: 'floats', value: [] }, '[]'],
  [{ type: 'strings', value: ['a', 'b'] }, '[a,b]'],
];
for (const [attribute, text] of attributes)
  test(`an attribute of type ${attribute.type}`, () => {
    const one: Node = node('Op', ['x'], ['y'], { key: attribute });
    assert.equal(printNode(one), `y = Op(x){key=${text}}`);
  });

test('the order of attributes does not matter', () => {
  const int = (value: number): Attribute => ({ type: 'int', value });
  assert.equal(
    printNode(node('Op', [], ['y'], { b: int(2), a: int(1) })),
    printNode(node('Op', [], ['y'], { a: int(1), b: int(2) })),
  );
});

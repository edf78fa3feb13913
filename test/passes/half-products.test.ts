/** Matrix products on float16 operands: what becomes float16, what does not, and what it costs in casts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkGraph, infoOf, modelOf, printGraph, tensorOf, type Graph, type Tensor } from '../../src/graph/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { withHalfProducts } from '../../src/passes/index.ts';
import { buildStep } from '../../src/train/index.ts';
import { runModel } from '../support/run-model.ts';
import { bucket, objectiveOf, plainOptions } from '../train/driven-step.ts';

const products = ['Gemm', 'MatMul'];
const moves = ['Reshape', 'Transpose'];

function graphOf(build: (g: GraphBuilder) => void): Graph {
  const g = new GraphBuilder();
  build(g);
  const graph = g.build('products');
  const half = withHalfProducts(graph);
  checkGraph(half);
  return half;
}

const types = ({ nodes }: Graph) => nodes.map(({ opType }) => opType);
const casts = ({ nodes }: Graph, to: 1 | 10) =>
  nodes
    .filter(({ opType, attributes }) => opType === 'Cast' && attributes['to']?.value === to)
    .map(({ inputs }) => inputs[0]);

describe('products on float16 operands', () => {
  it('cast what they read, and what they make back', () => {
    const graph = graphOf((g) => {
      const [a, b] = [g.input('a', 'float32', [2, 3]), g.input('b', 'float32', [3, 4])];
      g.output('y', g.op('Exp', [g.op('Gemm', [a, b, g.input('c', 'float32', [4])])]));
    });
    assert.deepEqual(types(graph), ['Cast', 'Cast', 'Cast', 'Gemm', 'Cast', 'Exp']);
    assert.deepEqual(casts(graph, 10), ['a', 'b', 'c']);
    assert.equal(infoOf(graph, graph.nodes[3]!.outputs[0]!)?.dtype, 'float16');
  });

  it('cast a tensor once, however it is turned', () => {
    const graph = graphOf((g) => {
      const x = g.input('x', 'float32', [2, 3, 4]);
      const rows = g.reshape(x, [6, 4]);
      const first = g.op('MatMul', [rows, g.transpose(rows, [1, 0])]);
      g.output('y', g.add(first, g.op('Gemm', [g.reshape(x, [6, 4]), rows], { transB: 1 })));
    });
    assert.deepEqual(casts(graph, 10), ['x']);
    assert.deepEqual(casts(graph, 1).length, 2);
    // Those of float32 are gone, as nobody reads them.
    assert.deepEqual(
      types(graph)
        .filter((type) => moves.includes(type))
        .sort(),
      ['Reshape', 'Reshape', 'Transpose'],
    );
  });

  it('leave in float16 what only products read', () => {
    const graph = graphOf((g) => {
      const [a, b] = [g.input('a', 'float32', [4, 4]), g.input('b', 'float32', [4, 4])];
      const inner = g.transpose(g.op('MatMul', [a, b]), [1, 0]);
      g.output('y', g.op('MatMul', [inner, b]));
    });
    assert.deepEqual(types(graph), ['Cast', 'Cast', 'MatMul', 'Transpose', 'MatMul', 'Cast']);
  });

  it('keep the names and types of inputs and outputs', () => {
    const graph = graphOf((g) => {
      const a = g.input('a', 'float32', [4, 4]);
      const product = g.op('MatMul', [a, a]);
      g.output('product', product);
      g.output('turned', g.transpose(product, [1, 0]));
    });
    assert.deepEqual(graph.outputs.map(({ name, dtype }) => [name, dtype]), [['product', 'float32'], ['turned', 'float32']]); // prettier-ignore
    assert.deepEqual(
      graph.inputs.map(({ dtype }) => dtype),
      ['float32'],
    );
  });

  it('are no business of a graph without float32 products', () => {
    for (const float of ['float32', 'float64'] as const) {
      const g = new GraphBuilder(float);
      const x = g.input('x', float, [2, 2]);
      g.output('y', float === 'float32' ? g.op('Exp', [g.transpose(x, [1, 0])]) : g.op('MatMul', [x, x]));
      const graph = g.build('other');
      assert.equal(withHalfProducts(graph), graph);
    }
  });

  it('round operands to 11 bits, and nothing else', async () => {
    // ONNX Runtime has no such products on CPUs, and takes two casts away that follow each other: hence the reshapes.
    const graph = graphOf((g) => {
      const [a, b] = [g.input('a', 'float32', [2]), g.input('b', 'float32', [2])];
      const product = g.op('MatMul', [g.reshape(a, [1, 2]), g.reshape(b, [2, 1])]);
      g.output('y', g.add(product, g.input('c', 'float32', [])));
    });
    const run = await runModel(modelOf(graph));
    const product = async (a: number[], b: number[], c: number) => {
      const feeds = new Map<string, Tensor>([
        ['a', tensorOf('float32', [2], a)],
        ['b', tensorOf('float32', [2], b)],
        ['c', tensorOf('float32', [], [c])],
      ]);
      return ((await run(feeds))['y']!.data as Float32Array)[0];
    };
    // 1 + 2^-12 is 1 in float16 and itself in float32; 2049 lies between 2048 and 2050.
    assert.equal(await product([1 + 2 ** -12, 0], [1, 0], 2 ** -12), 1 + 2 ** -12);
    assert.equal(await product([2049, 3], [1, 0], 0), 2048);
    assert.equal(await product([70_000, 0], [1, 0], 0), Infinity);
  });
});

describe('a training step with float16 products', () => {
  const whole = buildStep(objectiveOf(), bucket, plainOptions).model.graph;
  const { graph } = buildStep(objectiveOf(), bucket, { ...plainOptions, precision: 'float16' }).model;
  const dtypeOf = (name: string) => infoOf(graph, name)?.dtype;

  it('has as many products, all of them on float16', () => {
    checkGraph(graph);
    const found = graph.nodes.filter(({ opType }) => products.includes(opType));
    assert.equal(found.length, whole.nodes.filter(({ opType }) => products.includes(opType)).length);
    for (const { name, inputs, outputs } of found)
      for (const value of [...inputs, ...outputs]) assert.equal(dtypeOf(value), 'float16', `${name}: ${value}`);
  });

  it('has softmax, LayerNorm, sums and losses on float32', () => {
    for (const { opType, name, inputs } of graph.nodes)
      if (![...products, ...moves, 'Cast'].includes(opType))
        assert.ok(!inputs.some((value) => dtypeOf(value) === 'float16'), name);
    for (const type of ['Softmax', 'LayerNormalization', 'ReduceSum', 'ReduceLogSumExp', 'ReduceSumSquare'])
      assert.ok(types(graph).includes(type), type);
    assert.ok(graph.inputs.every(({ dtype }) => dtype !== 'float16'));
    assert.ok(graph.outputs.every(({ dtype }) => dtype === 'float32'));
  });

  it('casts every weight once', () => {
    const cast = casts(graph, 10);
    assert.equal(new Set(cast).size, cast.length);
    for (const name of ['query.weight', 'key.weight', 'value.weight', 'output.dense.weight'])
      assert.equal(cast.filter((value) => value?.startsWith('bert.encoder.layer.1.') && value.endsWith(name)).length, name.startsWith('output') ? 2 : 1, name); // prettier-ignore
  });

  it('is otherwise what it is without', () => {
    assert.equal(printGraph(buildStep(objectiveOf(), bucket, { ...plainOptions, precision: 'float32' }).model.graph), printGraph(whole)); // prettier-ignore
  });
});

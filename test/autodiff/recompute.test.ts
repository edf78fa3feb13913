/** Recomputation: the same gradients to the bit, values made twice, and an executor that keeps them apart. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gradientsRecomputing, withReaders } from '../../src/autodiff/index.ts';
import { recomputed, segmentsOf } from '../../src/autodiff/recompute.ts';
import { openEngine } from '../../src/engine/index.ts';
import { ancestors, checkGraph, modelOf, tensorOf, type Graph, type Tensor } from '../../src/graph/index.ts';
import { decodeModel } from '../../src/onnx/index.ts';
import { GraphBuilder, type Call, type Value } from '../../src/ops/index.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';

const LAYERS = 4;
const layerOf = ({ outputs }: Call) => /^layer\.\d+/.exec(outputs[0]!.name)?.[0];

/** Layers of a product, a mask and a Tanh; the first and the third have one matrix, and an inner value is in the loss. */
function layered(recompute: boolean): Graph {
  const g = new GraphBuilder();
  const [shared, second, fourth] = ['a', 'b', 'c'].map((name) => g.input(name, 'float32', [6, 6])) as [
    Value,
    Value,
    Value,
  ];
  const matrices = [shared, second, shared, fourth];
  let x = g.op('Exp', [g.input('x', 'float32', [5, 6])]);
  let inner: Value | undefined;
  matrices.forEach((matrix, i) =>
    g.scope(`layer.${i}`, () => {
      const product = g.op('MatMul', [x, matrix]);
      const mask = g.op('Cast', [g.input(`mask${i}`, 'bool', [5, 6])], { to: 'float32' });
      if (i === 1) inner = product;
      x = g.op('Tanh', [g.add(g.mul(product, mask), x)]);
    }),
  );
  const loss = g.add(g.total(g.mul(x, x)), g.total(g.op('Exp', [inner!])));
  const wrt = [shared, second, fourth];
  const { gradients, segments } = g.scope('backward', () =>
    gradientsRecomputing(g, loss, wrt, recompute ? layerOf : () => undefined),
  );
  g.output('loss', loss);
  wrt.forEach(({ name }, i) => g.output(`gradient/${name}`, gradients[i]!));
  return withReaders(g.build('layers'), segments);
}

function inputs(): Map<string, Tensor> {
  const random = seeded(3);
  const floats = (dims: number[]) =>
    tensorOf(
      'float32',
      dims,
      Array.from({ length: dims[0]! * dims[1]! }, () => random.float() - 0.5),
    );
  const masks = Array.from({ length: LAYERS }, (_, i): [string, Tensor] => [
    `mask${i}`,
    tensorOf(
      'bool',
      [5, 6],
      Array.from({ length: 30 }, () => random.integer(2)),
    ),
  ]);
  return new Map<string, Tensor>([
    ['x', floats([5, 6])],
    ...['a', 'b', 'c'].map((name): [string, Tensor] => [name, floats([6, 6])]),
    ...masks,
  ]);
}

const count = ({ nodes }: Graph, type: string) => nodes.filter(({ opType }) => opType === type).length;

describe('recomputation', () => {
  it('gives the same bits', async () => {
    const [kept, again] = [layered(false), layered(true)];
    checkGraph(again);
    const [expected, found] = [
      await (await runModel(modelOf(kept)))(inputs()),
      await (await runModel(modelOf(again)))(inputs()),
    ];
    assert.deepEqual(found, expected);
    assert.ok((expected['gradient/a']!.data as Float32Array).every((value) => Number.isFinite(value) && value !== 0));
  });

  it('makes the values of every layer twice but of the last one', () => {
    assert.equal(count(layered(false), 'Tanh'), LAYERS);
    const graph = layered(true);
    assert.equal(count(graph, 'Tanh'), 2 * LAYERS - 1);
    assert.equal(count(graph, 'Cast'), 2 * LAYERS - 1);
  });

  it('reads no inner value of a layer in its backward pass', () => {
    const { nodes } = layered(true);
    const backward = nodes.filter(({ name }) => name.startsWith('backward/'));
    const read = new Set(backward.flatMap(({ inputs }) => inputs.filter((name) => layerOfName(name))));
    // The output of each layer but the last two, which is where the next one begins; and all of the last layer.
    const outputs = nodes.filter(({ opType, name }) => opType === 'Tanh' && layerOfName(name)).map(({ name }) => name);
    const last = `layer.${LAYERS - 1}/`;
    assert.deepEqual([...read].filter((name) => !name.startsWith(last)).sort(), outputs.slice(0, -1).sort());
  });

  it('waits for all gradients of what came later', () => {
    const graph = layered(true);
    // Only the input of a layer waits, beside its mask: matrices are there throughout.
    const waits = graph.nodes.filter(({ opType, name }) => opType === 'Where' && name.includes('recomputed'));
    assert.equal(waits.length, LAYERS - 1);
    waits.forEach((wait, i) => {
      const before = ancestors(graph, wait.outputs);
      const terms = before.filter(({ opType, name }) => opType === 'Gemm' && name.startsWith('backward/'));
      // Two products for each layer after this one: towards its input, and towards its matrix.
      assert.equal(terms.length, 2 * (i + 1));
    });
  });

  it('is not undone by ONNX Runtime', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'kdx-recompute-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const engine = await openEngine({ device: 'cpu', threads: 1 });
    t.after(() => engine.close());
    const optimizedModelPath = join(folder, 'optimized.onnx');
    const session = await engine.createSession(modelOf(layered(true)), { optimizedModelPath, optimization: 'all' });
    const { graph } = decodeModel(await readFile(optimizedModelPath));
    assert.equal(count(graph, 'Tanh'), 2 * LAYERS - 1);
    // Casts of masks, whose results are as large as any other value.
    assert.equal(count(graph, 'Cast'), 2 * LAYERS - 1);
    await session.release();
  });

  it('holds numbers as they are, and flags', async () => {
    const g = new GraphBuilder();
    const [x, flags, late] = [
      g.input('x', 'float32', [5]),
      g.input('flags', 'bool', [3]),
      g.input('late', 'float32', [2, 2]),
    ];
    g.scope('layer.0', () => {
      g.op('Neg', [x]);
      g.op('Not', [flags]);
    });
    const [segment] = segmentsOf(g.calls, layerOf);
    const { again } = recomputed(g, segment!, [late], () => false);
    g.output('y', again(x));
    g.output('z', again(flags));
    const run = await runModel(modelOf(g.build('held')));
    const numbers = [-0, 0, NaN, -Infinity, 1.5];
    for (const first of [-1, 0, NaN, Infinity]) {
      const results = await run(
        new Map<string, Tensor>([
          ['x', tensorOf('float32', [5], numbers)],
          ['flags', tensorOf('bool', [3], [1, 0, 1])],
          ['late', tensorOf('float32', [2, 2], [first, 7, 8, 9])],
        ]),
      );
      assert.deepEqual(Array.from(results['y']!.data as Float32Array), numbers);
      assert.deepEqual(Array.from(results['z']!.data as Uint8Array), [1, 0, 1]);
    }
  });
});

describe('segments', () => {
  it('are successive calls of one name', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [2]);
    const layer = () => g.scope('layer.0', () => g.op('Neg', [g.op('Neg', [x])]));
    layer();
    g.op('Exp', [x]);
    layer();
    g.scope('layer.1', () => g.op('Exp', [x]));
    const found = segmentsOf(g.calls, layerOf).map(({ name, calls }) => [name, calls.length]);
    assert.deepEqual(found, [
      ['layer.0', 2],
      [undefined, 1],
      ['layer.0', 2],
      ['layer.1', 1],
    ]);
  });
});

function layerOfName(name: string): boolean {
  return /^layer\.\d+\//.test(name);
}

/** Tensors are disposed when they are no longer needed, and runs that fail dispose theirs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openDriver } from '../../plugins/tfjs/src/driver.ts';
import { loadTensorflow } from '../../plugins/tfjs/src/load.ts';
import type { TensorFlow } from '../../plugins/tfjs/src/tensorflow.ts';
import { tensorOf, type Model } from '../../src/graph/index.ts';
import { f32, i64, matrixChain, model, trainingStep } from '../engine/graphs.ts';
import { skipOf } from './backends.ts';

type TfjsDriver = ReturnType<typeof openDriver>;

const [table, w, m] = [1, 2, 3];
const step = {
  session: 10,
  feeds: [
    ['ids', i64(Array.from({ length: 64 }, (_, i) => i % 7))],
    ['target', tensorOf('float32', [64, 32], new Float32Array(64 * 32).fill(1))],
    ['table', table],
    ['w', w],
    ['m', m],
  ],
  fetch: ['loss'],
  assign: [
    ['table2', table],
    ['w2', w],
    ['m2', m],
  ],
} as const;

const load = (driver: TfjsDriver, id: number, { graph, opsets }: Model) => driver.createSession(id, graph, opsets['']!);
const ones = (dims: readonly [number, number]) =>
  tensorOf('float32', dims, new Float32Array(dims[0] * dims[1]).fill(1));

function withVariables(tf: TensorFlow, isStopped?: () => boolean): TfjsDriver {
  const driver = openDriver(tf, isStopped);
  load(driver, 10, trainingStep);
  driver.put([table, w, m], [ones([50, 48]), ones([48, 32]), ones([48, 32])]);
  return driver;
}

describe('tensors', { skip: skipOf.cpu }, async () => {
  const { tf } = await loadTensorflow(['cpu']);
  const count = () => tf.memory().numTensors;

  it('as many after a step as before, none after close', () => {
    const before = count();
    const driver = withVariables(tf);
    const [constants, variables] = [trainingStep.graph.initializers.size, 3];
    assert.equal(count() - before, constants + variables);
    for (let i = 0; i < 3; i++) driver.run(step);
    driver.put([w], [ones([48, 32])]);
    driver.get([w, m]);
    assert.equal(count() - before, constants + variables);
    driver.drop([m]);
    assert.equal(count() - before, constants + variables - 1);
    driver.releaseSession(10);
    assert.equal(count() - before, variables - 1);
    driver.close();
    assert.equal(count(), before);
  });

  it('a run that fails or is stopped leaves none behind', () => {
    const before = count();
    let nodes = 0;
    const driver = withVariables(tf, () => ++nodes > 5);
    const kept = count();
    assert.throws(() => driver.run(step), /the engine is being closed/);
    assert.equal(count(), kept);
    nodes = Number.NEGATIVE_INFINITY;
    const [first, second] = step.feeds;
    assert.throws(() => driver.run({ ...step, feeds: [first, second] }), /Gather/);
    const big = { dtype: 'int64', dims: [1], data: BigInt64Array.of(2n ** 40n) } as const;
    assert.throws(
      () => driver.run({ ...step, feeds: [...step.feeds.slice(1), ['ids', big]] }),
      /does not fit in int32/,
    );
    assert.equal(count(), kept);
    driver.close();
    assert.equal(count(), before);
  });

  it('inner values go as soon as nothing reads them', () => {
    const driver = openDriver(tf);
    load(driver, 1, matrixChain(4, 50));
    const start = count();
    const counts: number[] = [];
    const counting = openDriver(tf, () => {
      counts.push(count() - start);
      return false;
    });
    load(counting, 1, matrixChain(4, 50));
    counting.run({ session: 1, feeds: [['x', ones([4, 4])]], fetch: ['y'], assign: [] });
    assert.equal(Math.max(...counts), 2);
    for (const each of [driver, counting]) each.close();
  });

  it('an output that is an input or a constant is a tensor of its own', () => {
    const driver = openDriver(tf);
    const through = model({
      inputs: [['x', 'float32', [2]]],
      outputs: [
        ['x', 'float32', [2]],
        ['c', 'float32', [1]],
      ],
      initializers: { c: f32([7]) },
      nodes: [],
    });
    load(driver, 1, through);
    driver.put([5, 6], [f32([1, 2]), f32([0])]);
    const run = () =>
      driver.run({
        session: 1,
        feeds: [['x', 5]],
        fetch: ['x', 'c'],
        assign: [
          ['x', 5],
          ['c', 6],
        ],
      });
    run();
    assert.deepEqual(run(), [f32([1, 2]), f32([7])]);
    driver.drop([5]);
    assert.deepEqual(driver.get([6]), [f32([7])]);
    driver.close();
  });
});
